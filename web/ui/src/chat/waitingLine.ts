import type { UIMessage } from 'ai';
import type { Api, Busy, Queued } from '../server/api';
import { explain } from '../server/errors';
import { textOf } from './parts';

/** A message that waits; `seq` is null until the server has it. */
export interface Waiting {
  seq: number | null;
  message: UIMessage;
  /** It goes into the running answer at its next step. */
  steers: boolean;
  /** It did not reach the server; changing it sends it again. */
  lost: boolean;
}

/** The messages of one chat that wait while the agent answers another, as the server holds them. */
export class WaitingLine {
  all: Waiting[] = [];
  #unsent: Waiting[] = [];
  #reads = 0;

  /** `changed` is told of each change, with a sentence when something could not be done. */
  constructor(
    readonly chatId: string,
    readonly api: Pick<Api, 'submit' | 'queue' | 'edit' | 'cancel'>,
    readonly changed: (problem: string | null) => void,
  ) {}

  async add(message: UIMessage, busy: Busy, agent: string | null): Promise<void> {
    const waiting = { seq: null, message, steers: busy === 'steer', lost: false };
    this.#keep([...this.#others(waiting), waiting]);
    try {
      await this.api.submit(this.chatId, message, busy, agent);
      this.#unsent = this.#others(waiting);
    } catch (error) {
      this.#keep([...this.#others(waiting), { ...waiting, lost: true }]);
      this.changed(explain(error));
    }
    await this.#try(() => this.refresh());
  }

  async edit(waiting: Waiting, text: string, agent: string | null): Promise<void> {
    const { seq, message, steers, lost } = waiting;
    const others = message.parts.filter((part) => part.type !== 'text');
    const edited: UIMessage = { ...message, parts: [{ type: 'text', text }, ...others] };
    if (lost) await this.add(edited, steers ? 'steer' : 'enqueue', agent);
    else if (seq !== null) await this.#change(() => this.api.edit(this.chatId, seq, edited));
  }

  async cancel(waiting: Waiting): Promise<void> {
    const { seq, lost } = waiting;
    if (lost) this.#keep(this.#others(waiting));
    else if (seq !== null) await this.#change(() => this.api.cancel(this.chatId, seq));
  }

  /** Reads what waits now; of two readings under way the later one counts. */
  async refresh(): Promise<void> {
    const read = ++this.#reads;
    const queue = (await this.api.queue(this.chatId)).flatMap(waitingOf);
    if (read !== this.#reads) return;
    const known = new Set(queue.map(({ message }) => message.id));
    this.all = [...queue, ...this.#unsent.filter(({ message }) => !known.has(message.id))];
    this.changed(null);
  }

  /** Those that none of these messages shows, whole or as a part that steered it. */
  without(messages: UIMessage[]): Waiting[] {
    const shown = new Set(messages.flatMap(({ id, parts }) => [id, ...parts.flatMap(steeredId)]));
    return this.all.filter(({ message }) => !shown.has(message.id));
  }

  /** Of the stored messages those that do not wait. */
  unasked(stored: UIMessage[]): UIMessage[] {
    const waiting = new Set(this.all.map(({ message }) => message.id));
    return stored.filter(({ id }) => !waiting.has(id));
  }

  async #change(call: () => Promise<void>): Promise<void> {
    await this.#try(call);
    await this.#try(() => this.refresh());
  }

  async #try(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      this.changed(explain(error));
    }
  }

  #others({ message }: Waiting): Waiting[] {
    return this.#unsent.filter((each) => each.message.id !== message.id);
  }

  #keep(unsent: Waiting[]): void {
    this.#unsent = unsent;
    this.all = [...this.all.filter(({ seq }) => seq !== null), ...unsent];
    this.changed(null);
  }
}

/** The text of a waiting message. */
export function waitingText({ message }: Waiting): string {
  return textOf(message);
}

function waitingOf({ seq, busy, message }: Queued): Waiting[] {
  return message?.role === 'user' ? [{ seq, message, steers: busy === 'steer', lost: false }] : [];
}

function steeredId(part: UIMessage['parts'][number]): string[] {
  return part.type === 'steering-message' ? [part.id] : [];
}
