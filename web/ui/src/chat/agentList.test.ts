import { expect, it } from 'vitest';
import { AgentList } from './agentList';

async function preferred(online: Record<string, boolean>, kept: string | null, fallback: string | null) {
  const agents = Object.entries(online).map(([id, is]) => ({ id, online: is }));
  const list = new AgentList(
    { agents: () => Promise.resolve(agents) },
    { get: () => kept, set: () => undefined },
    fallback,
  );
  await list.refresh();
  return list.preferred();
}

it('begins new chats with the agent used last, while it is online', async () => {
  expect(await preferred({ a: true, b: true, c: true }, 'c', 'b')).toBe('c');
  expect(await preferred({ a: true, b: true, c: false }, 'c', 'b')).toBe('b');
});

it('falls back to any agent that is online, then to any at all', async () => {
  expect(await preferred({ a: false, b: false, c: true }, 'gone', 'b')).toBe('c');
  expect(await preferred({ a: false, b: false }, null, 'b')).toBe('b');
  expect(await preferred({}, 'gone', 'b')).toBeNull();
});
