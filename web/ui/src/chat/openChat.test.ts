import type { UIMessage } from 'ai';
import { WebSocket as NodeWebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type MockGateway, start } from '../../mock/server.mjs';
import { createDoor, createPlayground, type Playground } from '../playground';
import type { OpenChat } from './openChat';
import { textOf } from './parts';
import { waitingText } from './waitingLine';

/** The whole page without its pixels: stock `Chat`, stock transport, real sockets, against the mock gateway. */
let gateway: MockGateway;
let base: URL;
const sockets: WebSocket[] = [];

beforeEach(async () => {
  class Socket extends (NodeWebSocket as unknown as typeof WebSocket) {
    constructor(url: string | URL) {
      super(url);
      sockets.push(this);
    }
  }
  vi.stubGlobal('WebSocket', Socket);
  const started = await start({ tick: 4 });
  gateway = started.gateway;
  base = new URL(`http://127.0.0.1:${String(started.port)}/`);
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close(1000);
  await gateway.close();
  vi.unstubAllGlobals();
});

const page = (): Promise<Playground> => createPlayground(createDoor(base));
const aborts = (): number => gateway.frames.filter((frame) => frame.type === 'abort').length;
const streaming = (chat: OpenChat): Promise<void> =>
  expect.poll(() => chat.chat.status, { timeout: 5000, interval: 2 }).toBe('streaming');
const settled = (chat: OpenChat): Promise<void> =>
  expect.poll(() => chat.busy || chat.dropped, { timeout: 10_000 }).toBe(false);
const stored = (chat: OpenChat): UIMessage[] => gateway.sessions.get(chat.id)?.messages ?? [];
const lastText = (messages: UIMessage[]): string => {
  const last = messages.at(-1);
  return last === undefined ? '' : textOf(last);
};

async function chatting(
  text: string,
): Promise<{ playground: Playground; chat: OpenChat; sent: Promise<void> }> {
  const playground = await page();
  const chat = playground.chats.draft();
  chat.choose('support');
  return { playground, chat, sent: chat.send(text) };
}

describe('an open chat', () => {
  it('sends the last message alone, with the agent', async () => {
    const { chat, sent } = await chatting('short');
    await sent;
    await chat.send('short again');
    const frame = gateway.frames.at(-1);
    expect(frame?.messages?.map((message) => textOf(message))).toEqual(['short again']);
    expect(frame?.body).toEqual({ agent: 'support' });
    expect(chat.chat.messages).toHaveLength(4);
  });

  it('asks who answers when the page was open before any agent was served', async () => {
    const playground = await page();
    const [first] = playground.agents.agents.splice(0);
    const chat = playground.chats.draft();
    expect(chat.agent).toBeNull();
    await chat.send('short');
    expect(gateway.frames.find((frame) => frame.type === 'send')?.body).toEqual({ agent: first?.id });
    expect(stored(chat)).toHaveLength(2);
  });

  it('goes on arriving while another chat is looked at, and stops nothing', async () => {
    const { playground, chat, sent } = await chatting('hello');
    await streaming(chat);
    const other = playground.chats.open('past-1');
    await expect.poll(() => other.phase).toBe('ready');
    await sent;
    expect(lastText(chat.chat.messages)).toBe(lastText(stored(chat)));
    expect(aborts()).toBe(0);
  });

  it('shows what another page sent while it reads an answer', async () => {
    const { playground, chat } = await chatting('hello');
    await streaming(chat);
    const message: UIMessage = { id: 'q', role: 'user', parts: [{ type: 'text', text: 'next' }] };
    vi.spyOn(playground.api, 'queue').mockResolvedValue([
      { seq: 1, busy: 'enqueue', messageId: 'q', message },
    ]);
    await chat.heard(true);
    expect(chat.waitingLine.map(waitingText)).toEqual(['next']);
  });

  it('reads a running answer on after a reload, byte for byte', async () => {
    const { chat } = await chatting('hello');
    await streaming(chat);
    const reloaded = (await page()).chats.open(chat.id);
    await streaming(reloaded);
    await settled(reloaded);
    expect(reloaded.chat.messages.map((message) => message.id)).toEqual(stored(chat).map(({ id }) => id));
    expect(lastText(reloaded.chat.messages)).toBe(lastText(stored(chat)));
    expect(aborts()).toBe(0);
  });

  it('picks an answer up after the server restarts', async () => {
    const { chat } = await chatting('hello');
    await streaming(chat);
    gateway.restart();
    await expect.poll(() => chat.dropped, { timeout: 5000, interval: 2 }).toBe(true);
    await settled(chat);
    expect(lastText(chat.chat.messages)).toBe(lastText(stored(chat)));
    expect(chat.chat.messages).toHaveLength(2);
    expect([chat.chat.status, chat.problem, aborts()]).toEqual(['ready', null, 0]);
  });

  it('shows the whole answer when it ended while the page was away', async () => {
    const { playground, chat } = await chatting('short');
    await streaming(chat);
    vi.spyOn(playground.connection, 'ping').mockImplementation(async () => {
      await expect.poll(() => gateway.sessions.get(chat.id)?.status).toBe('idle');
    });
    gateway.restart();
    await expect.poll(() => chat.dropped, { interval: 2 }).toBe(true);
    await settled(chat);
    expect(chat.chat.messages).toEqual(stored(chat));
    expect(gateway.frames.some((frame) => frame.type === 'resume')).toBe(false);
  });

  it('stops on the server and then shows what the server kept', async () => {
    const { chat } = await chatting('long');
    await streaming(chat);
    await chat.stop();
    expect(gateway.sessions.get(chat.id)?.status).toBe('idle');
    expect(chat.chat.messages).toEqual(stored(chat));
    expect(chat.chat.status).toBe('ready');
    expect(aborts()).toBe(1);
  });

  it('stops after a reload, too', async () => {
    const { chat } = await chatting('long');
    await streaming(chat);
    const reloaded = (await page()).chats.open(chat.id);
    await streaming(reloaded);
    await reloaded.stop();
    expect(gateway.sessions.get(chat.id)?.status).toBe('idle');
    expect(reloaded.busy).toBe(false);
  });

  it('does not stop the agent when an error ends the reading', async () => {
    const { chat, sent } = await chatting('error please');
    await sent;
    expect(chat.chat.error?.message).toBe('The model provider did not answer in time.');
    await expect.poll(() => gateway.sessions.get(chat.id)?.status).toBe('idle');
    expect(aborts()).toBe(0);
  });

  it('asks for the answer again after an error', async () => {
    const { chat, sent } = await chatting('error please');
    await sent;
    await expect.poll(() => gateway.sessions.get(chat.id)?.status).toBe('idle');
    await chat.retry();
    expect(gateway.frames.at(-1)).toMatchObject({ trigger: 'regenerate-message' });
    expect(gateway.frames.at(-1)?.messages?.map(({ role }) => role)).toEqual(['user']);
  });

  it('keeps a message that never arrived and sends it again when told', async () => {
    const { chat, sent } = await chatting('short');
    await sent;
    const before = gateway.frames.length;
    sockets.at(-1)?.close(1000);
    const port = Number(base.port);
    await gateway.close();
    await chat.send('lost');
    await expect.poll(() => chat.dropped).toBe(true);
    const again = await start({ tick: 4, port });
    again.gateway.sessions.set(chat.id, gateway.sessions.get(chat.id) ?? { messages: [], status: 'idle' });
    gateway = again.gateway;
    await expect.poll(() => chat.undelivered?.id, { timeout: 10_000 }).toBe(chat.chat.messages.at(-1)?.id);
    await chat.retry();
    expect(before).toBe(1);
    expect(gateway.frames).toHaveLength(1);
    expect(stored(chat).map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(chat.undelivered).toBeNull();
  }, 20_000);

  it('sends an approval with its message and folds the rest into it', async () => {
    const { chat, sent } = await chatting('approve it');
    await sent;
    const part = chat.chat.messages.at(-1)?.parts.find((p) => 'approval' in p);
    await chat.approve(part && 'approval' in part ? (part.approval?.id ?? '') : '', true);
    await expect.poll(() => gateway.sessions.get(chat.id)?.status).toBe('idle');
    await settled(chat);
    expect(gateway.frames.at(-1)?.messages?.map(({ role }) => role)).toEqual(['assistant']);
    expect(lastText(chat.chat.messages)).toContain('on their way back');
    expect(chat.chat.messages).toHaveLength(2);
  });

  it('is a new chat when the server does not know it', async () => {
    const unknown = (await page()).chats.open('nobody');
    await expect.poll(() => unknown.phase).toBe('ready');
    expect(unknown.chat.messages).toEqual([]);
    expect(gateway.frames).toEqual([]);
  });
});
