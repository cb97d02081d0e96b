import { describe, expect, it } from 'vitest';
import type { Session, SessionPage } from '../server/api';
import { OpenChat } from './openChat';
import { listEntries, SessionList } from './sessionList';

const listed = (id: string, updatedAt: string, more: Partial<Session> = {}): Session => ({
  id: `session_${id}`,
  externalId: id,
  taskIdentifier: 'support',
  status: 'idle',
  title: id,
  createdAt: updatedAt,
  updatedAt,
  ...more,
});

const never = (): Promise<never> => Promise.reject(new Error('not called here'));

function opened(id: string): OpenChat {
  return new OpenChat(id, {
    api: { history: never, stop: never, submit: never, queue: never, edit: never, cancel: never },
    transport: { sendMessages: never, reconnectToStream: never },
    allowAbort: () => undefined,
    preferredAgent: () => 'support',
    lookForAgents: () => Promise.resolve(),
    touched: () => undefined,
  });
}

describe('listEntries', () => {
  it('puts the chat that was active last on top', () => {
    const sessions = [listed('old', '2026-01-01T00:00:00Z'), listed('new', '2026-02-01T00:00:00Z')];
    expect(listEntries(sessions, []).map((entry) => entry.chatId)).toEqual(['new', 'old']);
  });

  it('shows a chat that began in this page before the server lists it', () => {
    const chat = opened('mine');
    chat.chat.messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', text: 'Hello there\nmore' }] }];
    expect(listEntries([], [chat])).toEqual([]);
    chat.activeAt = Date.now();
    expect(listEntries([], [chat])).toMatchObject([
      { chatId: 'mine', title: 'Hello there', agent: 'support' },
    ]);
  });

  it('believes the server about a chat that runs elsewhere, until something happens here', () => {
    const sessions = [listed('a', '2026-01-01T00:00:00Z', { status: 'running' })];
    const chat = opened('a');
    expect(listEntries(sessions, [chat])[0]?.running).toBe(true);
    chat.activeAt = Date.now();
    expect(listEntries(sessions, [chat])[0]?.running).toBe(false);
  });

  it('names a chat without a title by how it began', () => {
    const chat = opened('a');
    chat.chat.messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', text: 'Why?' }] }];
    const sessions = [listed('a', '2026-01-01T00:00:00Z', { title: null })];
    expect(listEntries(sessions, [chat])[0]?.title).toBe('Why?');
    expect(listEntries(sessions, [])[0]?.title).toBe('Untitled chat');
  });
});

describe('SessionList', () => {
  it('appends older pages and keeps them when the newest is read again', async () => {
    const pages: SessionPage[] = [
      { data: [listed('b', '2026-02-01T00:00:00Z')], pagination: { next: 'cursor' } },
      { data: [listed('a', '2026-01-01T00:00:00Z')], pagination: {} },
      {
        data: [listed('c', '2026-03-01T00:00:00Z'), listed('b', '2026-02-01T00:00:00Z')],
        pagination: { next: 'x' },
      },
    ];
    const asked: (string | undefined)[] = [];
    const list = new SessionList({
      sessions: (after) => {
        asked.push(after);
        return Promise.resolve(pages.shift() ?? { data: [] });
      },
    });
    await list.refresh();
    await list.more();
    await list.refresh();
    await list.more();
    expect(list.sessions.map((session) => session.externalId)).toEqual(['c', 'b', 'a']);
    expect(asked).toEqual([undefined, 'cursor', undefined]);
  });

  it('keeps what it has when reading fails', async () => {
    const answers = [
      Promise.resolve({ data: [listed('a', '2026-01-01T00:00:00Z')] }),
      Promise.reject(new Error('no')),
    ];
    const list = new SessionList({ sessions: () => answers.shift() ?? never() });
    await list.refresh();
    await list.refresh();
    expect([list.state, list.sessions.length, list.problem]).toEqual(['ready', 1, 'no']);
  });

  it('takes in what the feed tells: who runs, who waits for the user, who is gone', async () => {
    const list = new SessionList({
      sessions: () => Promise.resolve({ data: [listed('a', '2026-01-01T00:00:00Z')] }),
    });
    await list.refresh();
    const tell = (state: string): unknown => {
      list.heard({ sessionId: 'session_a', state });
      return listEntries(list.sessions, [])[0];
    };
    expect(tell('running')).toMatchObject({ chatId: 'a', title: 'a', running: true, waiting: false });
    expect(tell('waiting')).toMatchObject({ running: false, waiting: true });
    await list.refresh();
    expect(listEntries(list.sessions, [])[0]?.waiting).toBe(true);
    expect(tell('gone')).toBeUndefined();
  });
});
