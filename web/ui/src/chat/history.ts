import type { UIMessage } from 'ai';
import type { SessionStatus } from '../server/api';

/** True while an answer is under way or about to be. */
export function isActive(status: SessionStatus): boolean {
  return status === 'queued' || status === 'running';
}

export interface Merged {
  messages: UIMessage[];
  /** A message that the user sent and the server never got. */
  undelivered: UIMessage | null;
}

/**
 * What to show after the server was asked: its history, and of our own messages what it cannot know yet.
 *
 * While an answer runs, our tail (the question, the part of the answer that came) stays as it is, because the
 * stream is about to bring it again. When nothing runs, a partial answer of ours is worthless and a question
 * that is not in the history was lost on the way.
 */
export function mergeHistory(ours: UIMessage[], stored: UIMessage[], active: boolean): Merged {
  const places = new Map(stored.map((message, index) => [message.id, index]));
  const lastShared = ours.findLastIndex((message) => places.has(message.id));
  const tail = ours.slice(lastShared + 1);
  if (active && tail.length > 0) {
    const upTo = lastShared < 0 ? stored.length : (places.get(ours[lastShared]?.id ?? '') ?? 0) + 1;
    return { messages: [...stored.slice(0, upTo), ...tail], undelivered: null };
  }
  const lost = active ? null : (tail.findLast((message) => message.role === 'user') ?? null);
  return { messages: lost === null ? stored : [...stored, lost], undelivered: lost };
}

/**
 * The messages to show while a stream is replayed: never less than was on the screen.
 *
 * A replay starts its message from nothing; shown as it comes, the answer would vanish and grow again.
 */
export function steady(shown: UIMessage[], incoming: UIMessage[]): UIMessage[] {
  const before = shown.at(-1);
  const now = incoming.at(-1);
  if (before === undefined || now === undefined) return incoming;
  if (before.id === now.id) {
    if (size(now) >= size(before)) return incoming;
    return incoming.length === shown.length ? shown : [...incoming.slice(0, -1), before];
  }
  const replayedAway = before.role === 'assistant' && incoming.length === shown.length - 1;
  return replayedAway && shown.at(-2)?.id === now.id ? shown : incoming;
}

/** Grows with every chunk that a message takes in. */
function size(message: UIMessage): number {
  return JSON.stringify(message.parts).length;
}
