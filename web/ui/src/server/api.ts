import type { UIMessage } from 'ai';
import { ApiError, isNetworkError, sentenceIn } from './errors';

/** `GET api/config`. `ws` is relative to the page. */
export interface Config {
  title: string;
  auth: 'none' | 'token';
  default_agent: string | null;
  version: string;
  ws: string;
}

export interface Agent {
  id: string;
  description?: string | null;
  model?: string | null;
  online: boolean;
  examples?: string[];
}

export type SessionStatus = 'idle' | 'queued' | 'running';

/** One line of the chat list; `externalId` is the chat id. */
export interface Session {
  id: string;
  externalId: string;
  taskIdentifier: string;
  status: SessionStatus;
  /** Told by the feed: the agent asked the user something. */
  waiting?: boolean;
  title?: string | null;
  createdAt: string | number;
  updatedAt: string | number;
}

export interface SessionPage {
  data: Session[];
  pagination?: { next?: string | null };
}

export type Busy = 'enqueue' | 'steer';

/** A message that waits for the running answer to end, or for its next step. */
export interface Queued {
  seq: number;
  busy: string | null;
  messageId?: string | null;
  message?: UIMessage | null;
}

export interface History {
  messages: UIMessage[];
  status: SessionStatus;
  taskIdentifier?: string | null;
  agent?: string | null;
  title?: string | null;
}

/** Where tokens come from; `refuse` is told of one that the server did not accept. */
export interface Tokens {
  get(): Promise<string | null>;
  refuse(token: string): void;
}

/** The page's own HTTP calls. All addresses are relative to the page, so that any url prefix works. */
export class Api {
  constructor(
    readonly base: URL,
    readonly tokens: Tokens,
    readonly unreachable: () => void,
  ) {}

  config(): Promise<Config> {
    return this.#json('api/config', { anonymous: true });
  }

  async agents(): Promise<Agent[]> {
    const { agents } = await this.#json<{ agents: Agent[] }>('api/agents');
    return agents;
  }

  /** A token minted by the server; null when it does not do that. */
  async mint(): Promise<string | null> {
    try {
      const init = { method: 'POST', anonymous: true };
      return (await this.#json<{ token: string }>('api/playground/token', init)).token;
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) return null;
      throw error;
    }
  }

  /** The user's chats, newest first; `after` is the `pagination.next` of the page before. */
  sessions(after?: string): Promise<SessionPage> {
    const query = new URLSearchParams({ limit: '50' });
    if (after !== undefined) query.set('page[after]', after);
    return this.#json(`api/v1/sessions?${query.toString()}`);
  }

  /** What the server holds of a chat; null when it knows none by this id. */
  async history(chatId: string): Promise<History | null> {
    try {
      return await this.#json<History>(`api/v1/sessions/${encodeURIComponent(chatId)}/history`);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** Puts a message behind (`enqueue`) or into (`steer`) the running answer. Does not wait for what it brings. */
  async submit(id: string, message: UIMessage, busy: Busy, agent: string | null): Promise<void> {
    const body = { id, message, busy, ...(agent === null ? {} : { agent }) };
    const response = await this.#request('api/chat', { method: 'POST', body });
    await response.body?.cancel(); // the page reads answers elsewhere
  }

  /** The messages that wait in a chat; none in one that the server does not know. */
  async queue(chatId: string): Promise<Queued[]> {
    try {
      return (await this.#json<{ queue: Queued[] }>(`${chatPath(chatId)}/queue`)).queue;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return [];
      throw error;
    }
  }

  /** Replaces a waiting message. */
  async edit(chatId: string, seq: number, message: UIMessage): Promise<void> {
    await this.#request(`${chatPath(chatId)}/queue/${seq}`, { method: 'PATCH', body: { message } });
  }

  /** Takes a waiting message out. */
  async cancel(chatId: string, seq: number): Promise<void> {
    await this.#request(`${chatPath(chatId)}/queue/${seq}`, { method: 'DELETE' });
  }

  /** Opens the events that tell how the user's chats stand, until `signal` aborts. */
  async feed(signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null> {
    return (await this.#request('api/chats/feed', { signal })).body;
  }

  /** The user's stop, on whatever connection the answer runs: of the answer to, or with, this message. */
  async stop(chatId: string, messageId?: string): Promise<void> {
    await this.#request(`${chatPath(chatId)}/stop`, { method: 'POST', body: { messageId } });
  }

  async #json<T>(path: string, init: CallInit = {}): Promise<T> {
    return (await (await this.#request(path, init)).json()) as T;
  }

  /** One call; a refused token is replaced and the call repeated once. */
  async #request(path: string, init: CallInit, again = true): Promise<Response> {
    const { anonymous = false, method = 'GET' } = init;
    const token = anonymous ? null : await this.tokens.get();
    const headers = new Headers({ accept: 'application/json' });
    if (token !== null) headers.set('authorization', `Bearer ${token}`);
    if (init.body !== undefined) headers.set('content-type', 'application/json');
    const response = await this.#fetch(new URL(path, this.base), {
      method,
      headers,
      body: init.body === undefined ? null : JSON.stringify(init.body),
      signal: init.signal ?? null,
    });
    if (response.ok) return response;
    if (response.status === 401 && token !== null) {
      this.tokens.refuse(token);
      if (again) return this.#request(path, init, false);
    }
    throw new ApiError(response.status, await sentence(response));
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (isNetworkError(error)) this.unreachable();
      throw error;
    }
  }
}

interface CallInit {
  method?: string;
  body?: object;
  signal?: AbortSignal;
  /** Without a token: the calls that come before there is one. */
  anonymous?: boolean;
}

function chatPath(chatId: string): string {
  return `api/chat/${encodeURIComponent(chatId)}`;
}

async function sentence(response: Response): Promise<string> {
  const body = (await response.text()).trim();
  const short = body.startsWith('<') || body.length > 300 ? '' : body;
  return (sentenceIn(body) ?? short) || `The server answered ${response.status}.`;
}
