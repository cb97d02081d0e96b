/** What the page wants to know of the transport's sockets. */
export interface SocketWatch {
  heard(): void;
  closed(code: number): void;
}

/**
 * Lets `abort` frames through only for chats whose user pressed stop.
 *
 * To our server an `abort` frame is the user's stop. The stock client also sends one when it merely gives a
 * stream up: when a newer resume replaces an older, or when an `error` chunk ends the reading. None of these
 * may stop an agent that others still listen to.
 */
export class StopGate {
  readonly #asked = new Set<string>();

  /** The user pressed stop in this chat; counts until the chat's next request. */
  open(chatId: string): void {
    this.#asked.add(chatId);
  }

  /** Whether a frame may leave. `chats` remembers the chat of each request on one socket. */
  passes(frame: string, chats: Map<string, string>): boolean {
    const { type, requestId, id } = JSON.parse(frame) as Record<string, string>;
    if (requestId === undefined) return true;
    if (type === 'abort') return this.#asked.has(chats.get(requestId) ?? '');
    if (id !== undefined) {
      chats.set(requestId, id);
      this.#asked.delete(id);
    }
    return true;
  }
}

/** A WebSocket class for the stock transport: the browser's own, watched, and gated by `gate`. */
export function watchedSocket(watch: SocketWatch, gate: StopGate): typeof WebSocket {
  return class WatchedSocket extends WebSocket {
    readonly #chats = new Map<string, string>();

    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      this.addEventListener('message', () => {
        watch.heard();
      });
      this.addEventListener('close', (event) => {
        watch.closed(event.code);
      });
    }

    override send(data: Parameters<WebSocket['send']>[0]): void {
      if (typeof data !== 'string' || gate.passes(data, this.#chats)) super.send(data);
    }
  };
}
