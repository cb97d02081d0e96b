import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Connection } from './connection';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function connection(answers: boolean[]): { it: Connection; restored: () => number; states: string[] } {
  let restored = 0;
  const states: string[] = [];
  const made = new Connection(
    () => (answers.shift() ? Promise.resolve() : Promise.reject(new TypeError('Failed to fetch'))),
    () => (restored += 1),
  );
  made.subscribe(() => states.push(made.state));
  return { it: made, restored: () => restored, states };
}

describe('Connection', () => {
  it('searches until the server answers, then says so once', async () => {
    const { it: found, restored, states } = connection([false, false, true]);
    found.lost();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(states).toEqual([
      'offline',
      'connecting',
      'offline',
      'connecting',
      'offline',
      'connecting',
      'online',
    ]);
    expect(restored()).toBe(1);
  });

  it('runs one search however many notice the loss', async () => {
    const { it: found, restored } = connection([true, true, true]);
    found.lost();
    found.lost();
    await vi.advanceTimersByTimeAsync(10_000);
    found.lost();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(restored()).toBe(2);
  });

  it('tries at once when the network is back', async () => {
    const answers = Array.from({ length: 20 }, () => false);
    const { it: found } = connection(answers);
    found.lost();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(found.state).toBe('offline');
    answers.fill(true);
    found.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(found.state).toBe('online');
  });

  it('pauses longer each time a server answers pings but drops sockets', async () => {
    const { it: found } = connection(Array.from({ length: 9 }, () => true));
    for (let n = 0; n < 5; n += 1) {
      found.lost();
      await vi.advanceTimersByTimeAsync(15_000);
    }
    found.lost();
    await vi.advanceTimersByTimeAsync(1000);
    expect(found.state).toBe('offline');
    await vi.advanceTimersByTimeAsync(15_000);
    found.heard();
    found.lost();
    await vi.advanceTimersByTimeAsync(400);
    expect(found.state).toBe('online');
  });
});
