import { describe, expect, it } from 'vitest';
import { backoffMs, pause } from './backoff';

describe('backoffMs', () => {
  it('doubles from attempt to attempt', () => {
    expect([0, 1, 2, 3].map((attempt) => backoffMs(attempt, 1))).toEqual([400, 800, 1600, 3200]);
  });

  it('never waits longer than the cap', () => {
    expect(backoffMs(50, 1)).toBe(15_000);
  });

  it('spreads clients over the upper half of the wait', () => {
    expect(backoffMs(2, 0)).toBe(800);
    expect(backoffMs(2, 0.5)).toBe(1200);
  });
});

describe('pause', () => {
  it('ends at once when its signal aborts', async () => {
    const controller = new AbortController();
    const paused = pause(60_000, controller.signal);
    controller.abort();
    await expect(paused).resolves.toBeUndefined();
  });

  it('does not start when its signal has aborted already', async () => {
    await expect(pause(60_000, AbortSignal.abort())).resolves.toBeUndefined();
  });
});
