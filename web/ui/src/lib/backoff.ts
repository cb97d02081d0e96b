/** Milliseconds before the second attempt; doubles from there. */
const BASE_MS = 400;
/** Longest pause in milliseconds. */
const CAP_MS = 15_000;

/**
 * Milliseconds to wait before attempt `attempt` (0-based).
 * Half of it is random, so that a restarted server is not met by everybody at once.
 */
export function backoffMs(attempt: number, random: number = Math.random()): number {
  const full = Math.min(CAP_MS, BASE_MS * 2 ** Math.max(0, attempt));
  return Math.round(full / 2 + (full / 2) * random);
}

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts. Never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
