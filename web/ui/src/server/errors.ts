/** The server answered, and it was no. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** True when the server could not be reached: `fetch`, or the chat transport's lost socket. */
export function isNetworkError(error: unknown): boolean {
  return error instanceof TypeError && /fetch|network|load failed/i.test(error.message);
}

/** One sentence about an error, for a person. */
export function explain(error: unknown): string {
  if (isNetworkError(error)) return closeReason(error) ?? 'The connection to the server was lost.';
  const message = error instanceof Error ? error.message : '';
  return (sentenceIn(message) ?? message) || 'Something went wrong.';
}

/** The reason a server gave when it closed the socket: "… closed (code 1008: token expired)." */
function closeReason(error: unknown): string | null {
  const match = error instanceof Error ? /\(code \d+: (.+)\)\.$/.exec(error.message) : null;
  return match?.[1] ?? null;
}

/** The sentence inside a JSON error body: `{"error": …}` or `{"message": …}`; else null. */
export function sentenceIn(body: string): string | null {
  if (!body.startsWith('{')) return null;
  try {
    const { error, message } = JSON.parse(body) as { error?: unknown; message?: unknown };
    if (typeof error === 'string') return error;
    return typeof message === 'string' ? message : null;
  } catch {
    return null; // not JSON after all: the caller shows the text itself
  }
}
