import { Observable } from '../lib/observable';
import type { Store } from '../lib/storage';

/** Seconds of life left below which a token is fetched anew. */
const REFRESH_BEFORE_S = 60;
const KEY = 'token';

/** What the server says about minting: a token, or null when it does not mint (then a person has one). */
export type Mint = () => Promise<string | null>;

/**
 * The one token of this page.
 *
 * Minted by the server when it does that (development), else asked from the person in front of the page
 * and kept for the tab. Whoever calls {@link get} meanwhile simply waits.
 */
export class TokenSource extends Observable {
  /** `asking`: a person has to paste a token; `refused`: the one given was not accepted. */
  state: 'quiet' | 'asking' | 'refused' = 'quiet';
  /** False where the server knows its users without a token of ours; then nobody is asked. */
  required = true;
  #token: string | null = null;
  #minting: Promise<string | null> | null = null;
  #unminted = false;
  #given: ((token: string) => void) | null = null;
  #asked: Promise<string> | null = null;

  constructor(
    readonly mint: Mint,
    readonly kept: Store,
  ) {
    super();
  }

  /** A token that is good for a while yet; null only where none is required. */
  async get(): Promise<string | null> {
    if (this.#token !== null && !expiresSoon(this.#token)) return this.#token;
    if (this.#unminted && !this.required) return null;
    this.#minting ??= this.mint().finally(() => {
      this.#minting = null;
    });
    const minted = await this.#minting;
    this.#unminted = minted === null;
    this.#token = minted ?? this.kept.get(KEY) ?? (this.required ? await this.#ask() : null);
    return this.#token;
  }

  /** Takes the token that a person pasted. */
  give(token: string): void {
    this.kept.set(KEY, token);
    this.state = 'quiet';
    this.#asked = null;
    this.#given?.(token);
    this.changed();
  }

  /** Drops a token that the server did not accept; the next {@link get} finds another. */
  refuse(token: string): void {
    if (token === this.#token) this.#token = null;
    if (token !== this.kept.get(KEY)) return;
    this.kept.set(KEY, null);
    this.state = 'refused';
  }

  #ask(): Promise<string> {
    if (this.#asked === null) {
      this.#asked = new Promise((resolve) => {
        this.#given = resolve;
      });
      if (this.state === 'quiet') this.state = 'asking';
      this.changed();
    }
    return this.#asked;
  }
}

/** True when a JWT says it ends within a minute. What is no JWT never does. */
export function expiresSoon(token: string, nowMs: number = Date.now()): boolean {
  const payload = token.split('.')[1];
  if (payload === undefined) return false;
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    const { exp } = claims as { exp?: unknown };
    return typeof exp === 'number' && exp - nowMs / 1000 < REFRESH_BEFORE_S;
  } catch {
    return false; // opaque to us; the server will say when it is over
  }
}
