import { backoffMs, pause } from '../lib/backoff';
import type { Api } from './api';

/** How a chat stands, as the feed tells it; `waiting` lists the tool calls that wait for the user. */
export interface FeedChat {
  id?: string;
  sessionId: string;
  agent?: string;
  state: string;
  waiting?: unknown[];
  title?: string | null;
  createdAt?: string | number;
  updatedAt?: string | number;
}

/** Tells `heard` of every chat that changes, until `signal` aborts; a feed that ends is opened again. */
export async function followFeed(
  api: Pick<Api, 'feed'>,
  heard: (chat: FeedChat) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      const body = await api.feed(signal);
      if (body !== null) {
        for await (const chat of feedChats(body)) {
          attempt = 0;
          heard(chat);
        }
      }
    } catch {
      // Away, restarting, or not allowed to us: tried again, with growing pauses.
    }
    await pause(backoffMs(attempt), signal);
  }
}

/** The chats in a stream of the events `chats` and `chat`, in their order. */
export async function* feedChats(body: ReadableStream<Uint8Array>): AsyncGenerator<FeedChat> {
  const reader = body
    .pipeThrough<string>(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) yield* chatsIn(event);
  }
}

function chatsIn(event: string): FeedChat[] {
  const [, name, data] = /^event: (chats?)\ndata: (.*)$/.exec(event) ?? [];
  if (name === undefined || data === undefined) return []; // a comment that keeps the line open
  return name === 'chat' ? [JSON.parse(data) as FeedChat] : (JSON.parse(data) as { chats: FeedChat[] }).chats;
}
