import type { UIMessage } from 'ai';
import { expect, it } from 'vitest';
import type { Queued } from '../server/api';
import { WaitingLine, waitingText } from './waitingLine';

const message = (id: string, text: string): UIMessage => ({
  id,
  role: 'user',
  parts: [{ type: 'text', text }],
});

/** A server's queue in memory; `away` refuses what is sent. */
function server() {
  const held: Queued[] = [];
  const state = { held, away: false };
  const at = (seq: number): number => held.findIndex((each) => each.seq === seq);
  const api = {
    submit: (_chat: string, sent: UIMessage, busy: string) => {
      if (state.away) return Promise.reject(new Error('away'));
      held.push({ seq: held.length + 1, busy, messageId: sent.id, message: sent });
      return Promise.resolve();
    },
    queue: () => Promise.resolve([...held]),
    edit: (_chat: string, seq: number, sent: UIMessage) => {
      Object.assign(held[at(seq)] ?? {}, { message: sent });
      return Promise.resolve();
    },
    cancel: (_chat: string, seq: number) => {
      held.splice(at(seq), 1);
      return Promise.resolve();
    },
  };
  const problems: string[] = [];
  const line = new WaitingLine('c', api, (problem) => {
    if (problem !== null) problems.push(problem);
  });
  return { state, line, problems, texts: () => line.all.map(waitingText) };
}

it('shows a message at once, changes it and takes it back', async () => {
  const { line, texts } = server();
  const added = line.add(message('a', 'one'), 'steer', null);
  expect(line.all).toMatchObject([{ seq: null, steers: true }]);
  await added;
  expect(line.all).toMatchObject([{ seq: 1, steers: true }]);
  const [first] = line.all;
  if (first !== undefined) await line.edit(first, 'two', null);
  expect(texts()).toEqual(['two']);
  if (line.all[0] !== undefined) await line.cancel(line.all[0]);
  expect(line.all).toEqual([]);
});

it('keeps a message that did not arrive until it is sent again', async () => {
  const { state, line, problems, texts } = server();
  state.away = true;
  await line.add(message('a', 'one'), 'enqueue', null);
  expect(line.all).toMatchObject([{ lost: true }]);
  expect(problems).toEqual(['away']);
  state.away = false;
  if (line.all[0] !== undefined) await line.edit(line.all[0], 'again', null);
  expect(line.all).toMatchObject([{ seq: 1, lost: false }]);
  expect(texts()).toEqual(['again']);
});

it('leaves out what steered the answer that is shown, and what waits from the stored messages', async () => {
  const { line } = server();
  await line.add(message('a', 'one'), 'steer', null);
  await line.add(message('b', 'two'), 'enqueue', null);
  const answer = { id: 'x', role: 'assistant', parts: [{ type: 'steering-message', id: 'a', parts: [] }] };
  expect(line.without([answer as never]).map((each) => each.message.id)).toEqual(['b']);
  expect(line.unasked([message('q', 'ask'), message('b', 'two')]).map(({ id }) => id)).toEqual(['q']);
});
