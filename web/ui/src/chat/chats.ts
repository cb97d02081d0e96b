import { newChatId } from '../lib/ids';
import { Observable } from '../lib/observable';
import { OpenChat, type Surroundings } from './openChat';

/** The chats that are open in this page, by id. Leaving one keeps it; its answer goes on arriving. */
export class Chats extends Observable {
  readonly #open = new Map<string, OpenChat>();
  readonly #around: Surroundings;
  #draft: OpenChat | null = null;

  constructor(around: Omit<Surroundings, 'touched'>) {
    super();
    this.#around = { ...around, touched: this.changed };
  }

  /** The chat with this id, opened and loaded on first use. */
  open(chatId: string): OpenChat {
    const known = this.#open.get(chatId);
    if (known !== undefined) return known;
    const opened = new OpenChat(chatId, this.#around);
    this.#open.set(chatId, opened);
    void opened.load();
    return opened;
  }

  /** The chat that does not exist yet: the same one until its first message is sent. */
  draft(): OpenChat {
    if (this.#draft?.phase !== 'new') {
      this.#draft = new OpenChat(newChatId(), this.#around);
      this.#open.set(this.#draft.id, this.#draft);
    }
    return this.#draft;
  }

  /** The agent that a chat's requests name. */
  agentOf(chatId: string): string | null {
    return this.#open.get(chatId)?.agent ?? null;
  }

  /** The chat with this id, if it is open. */
  find(chatId: string): OpenChat | undefined {
    return this.#open.get(chatId);
  }

  all(): OpenChat[] {
    return [...this.#open.values()];
  }

  /** The server is back: mends every chat whose stream broke off or whose reading failed. */
  reconnect(): void {
    for (const open of this.#open.values()) if (open.dropped) void open.sync();
  }
}
