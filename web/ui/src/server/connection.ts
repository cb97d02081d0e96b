import { backoffMs, pause } from '../lib/backoff';
import { Observable } from '../lib/observable';

export type ConnectionState = 'online' | 'connecting' | 'offline';

/**
 * Whether the server can be reached.
 *
 * Told of losses by whoever notices one (a closed socket, a failed request), it tries with growing pauses
 * until the server answers again, then calls `restored`.
 */
export class Connection extends Observable {
  state: ConnectionState = 'online';
  #attempt = 0;
  #hurry = new AbortController();

  constructor(
    readonly ping: () => Promise<unknown>,
    readonly restored: () => void,
  ) {
    super();
  }

  /** Somebody could not reach the server. */
  lost(): void {
    if (this.state === 'online') void this.#search();
  }

  /** The server was heard: the next loss starts with a short pause again. */
  heard(): void {
    this.#attempt = 0;
  }

  /** Try at once: the network is back, or a person asked. */
  hurry(): void {
    this.#hurry.abort();
  }

  async #search(): Promise<void> {
    do {
      this.#become('offline');
      this.#hurry = new AbortController();
      await pause(backoffMs(this.#attempt++), this.#hurry.signal);
      this.#become('connecting');
    } while (!(await this.#answers()));
    this.#become('online');
    this.restored();
  }

  async #answers(): Promise<boolean> {
    try {
      await this.ping();
      return true;
    } catch {
      return false; // still away, or still starting: the loop goes on
    }
  }

  #become(state: ConnectionState): void {
    this.state = state;
    this.changed();
  }
}
