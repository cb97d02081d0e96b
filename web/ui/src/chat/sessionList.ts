import { Observable } from '../lib/observable';
import type { Api, Session } from '../server/api';
import { explain } from '../server/errors';
import type { FeedChat } from '../server/feed';
import { isActive } from './history';
import type { OpenChat } from './openChat';
import { textOf } from './parts';

/** One line of the side list. */
export interface ListEntry {
  chatId: string;
  title: string;
  agent: string | null;
  updatedAt: Date;
  running: boolean;
  /** The agent asked the user something. */
  waiting: boolean;
}

/** The user's past chats, as the server lists them. */
export class SessionList extends Observable {
  sessions: Session[] = [];
  state: 'loading' | 'ready' | 'failed' = 'loading';
  problem: string | null = null;
  next: string | null = null;

  constructor(readonly api: Pick<Api, 'sessions'>) {
    super();
  }

  /** Reads the newest page; older ones that were read stay. */
  readonly refresh = async (): Promise<void> => {
    await this.#read(undefined);
  };

  /** Reads the page after the oldest one that was read. */
  readonly more = async (): Promise<void> => {
    if (this.next !== null) await this.#read(this.next);
  };

  /** Takes in how a chat stands now. */
  readonly heard = (chat: FeedChat): void => {
    const rest = this.sessions.filter((session) => session.id !== chat.sessionId);
    const known = this.sessions.find((session) => session.id === chat.sessionId);
    this.sessions = chat.state === 'gone' ? rest : [sessionOf(chat, known), ...rest];
    this.changed();
  };

  titleOf(chatId: string): string | null {
    return this.sessions.find((session) => session.externalId === chatId)?.title ?? null;
  }

  async #read(after: string | undefined): Promise<void> {
    try {
      const page = await this.api.sessions(after);
      const fresh = new Set(page.data.map((session) => session.id));
      const first = this.sessions.length === 0;
      const waiting = new Map(this.sessions.map((session) => [session.id, session.waiting ?? false]));
      const listed = page.data.map((each) => ({ ...each, waiting: waiting.get(each.id) ?? false }));
      this.sessions = [...listed, ...this.sessions.filter((session) => !fresh.has(session.id))];
      if (first || after !== undefined) this.next = page.pagination?.next ?? null;
      this.state = 'ready';
      this.problem = null;
    } catch (error) {
      if (this.state === 'loading') this.state = 'failed';
      this.problem = explain(error);
    }
    this.changed();
  }
}

/** The side list: the server's chats and this page's newer knowledge of them, last active first. */
export function listEntries(sessions: Session[], open: OpenChat[]): ListEntry[] {
  const entries = new Map(sessions.map((session) => [session.externalId, entryOf(session)]));
  for (const chat of open) {
    const listed = entries.get(chat.id);
    if (listed !== undefined || chat.activeAt !== null) entries.set(chat.id, overlay(chat, listed));
  }
  return [...entries.values()].sort((a, b) => b.updatedAt.getTime() - a.updatedAt.getTime());
}

/** What to call a chat: its title, else how it began. */
export function titleOf(chat: OpenChat, listed?: string | null): string {
  const question = chat.chat.messages.find((message) => message.role === 'user');
  const begun = question === undefined ? '' : textOf(question).trim().split('\n', 1)[0];
  return [chat.title, listed, begun].find((name) => name) ?? 'New chat';
}

function entryOf(session: Session): ListEntry {
  return {
    chatId: session.externalId,
    title: session.title ?? 'Untitled chat',
    agent: session.taskIdentifier,
    updatedAt: dateOf(session.updatedAt) ?? dateOf(session.createdAt) ?? new Date(0),
    running: isActive(session.status),
    waiting: !isActive(session.status) && (session.waiting ?? false),
  };
}

function sessionOf(chat: FeedChat, known: Session | undefined): Session {
  return {
    id: chat.sessionId,
    externalId: chat.id ?? known?.externalId ?? chat.sessionId,
    taskIdentifier: chat.agent ?? known?.taskIdentifier ?? '',
    status: chat.state === 'running' || chat.state === 'queued' ? chat.state : 'idle',
    waiting: chat.state === 'waiting',
    title: chat.title ?? known?.title ?? null,
    createdAt: chat.createdAt ?? known?.createdAt ?? 0,
    updatedAt: chat.updatedAt ?? known?.updatedAt ?? 0,
  };
}

function dateOf(when: string | number): Date | null {
  const date = new Date(when);
  return Number.isNaN(date.getTime()) ? null : date;
}

function overlay(chat: OpenChat, listed: ListEntry | undefined): ListEntry {
  const untitled = listed === undefined || listed.title === 'Untitled chat';
  const known = Math.max(chat.activeAt ?? 0, listed?.updatedAt.getTime() ?? 0);
  return {
    chatId: chat.id,
    title: untitled ? titleOf(chat) : listed.title,
    agent: chat.agent ?? listed?.agent ?? null,
    updatedAt: new Date(known),
    // Once something happened here we know better than a list that may be a while old.
    waiting: !chat.busy && (listed?.waiting ?? false),
    running: chat.busy || (chat.activeAt === null && (listed?.running ?? false)),
  };
}
