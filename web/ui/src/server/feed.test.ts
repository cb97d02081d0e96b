import { expect, it } from 'vitest';
import { feedChats, followFeed, type FeedChat } from './feed';

const chat = (sessionId: string, state: string): string => JSON.stringify({ sessionId, state });

/** A body that arrives in pieces of three bytes. */
function bodyOf(text: string): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return new ReadableStream({
    start: (to) => {
      for (let at = 0; at < bytes.length; at += 3) to.enqueue(bytes.slice(at, at + 3));
      to.close();
    },
  });
}

it('reads chats from pages, changes and comments, however the bytes come', async () => {
  const text =
    `: stream-open\n\nevent: chats\ndata: {"chats":[${chat('a', 'idle')}],"cursor":null}\n\n` +
    `: keep-alive\n\nevent: chat\ndata: ${chat('b', 'running')}\n\nevent: chat\ndata: {"cut`;
  const read: FeedChat[] = [];
  for await (const each of feedChats(bodyOf(text))) read.push(each);
  expect(read.map((each) => `${each.sessionId} ${each.state}`)).toEqual(['a idle', 'b running']);
});

it('opens a feed that ended or failed again, until it is left', async () => {
  const leave = new AbortController();
  const answers = [
    () => Promise.reject(new Error('away')),
    () => Promise.resolve(bodyOf(`event: chat\ndata: ${chat('a', 'waiting')}\n\n`)),
  ];
  const heard: string[] = [];
  const feed = (): Promise<ReadableStream<Uint8Array> | null> => answers.shift()?.() ?? Promise.resolve(null);
  await followFeed(
    { feed },
    (each) => {
      heard.push(each.state);
      leave.abort();
    },
    leave.signal,
  );
  expect(heard).toEqual(['waiting']);
});
