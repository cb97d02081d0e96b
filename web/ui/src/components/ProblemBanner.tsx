import { RotateCw, TriangleAlert } from 'lucide-react';
import type { OpenChat } from '../chat/openChat';
import { explain } from '../server/errors';

interface Props {
  open: OpenChat;
  error: Error | undefined;
}

/** What went wrong in this chat, and the way on. Nothing while a lost connection is being mended. */
export function ProblemBanner({ open, error }: Props) {
  const problem = problemOf(open, error);
  if (problem === null) return null;
  return (
    <div className="banner" role="alert" data-testid="error">
      <TriangleAlert aria-hidden />
      <p>{problem}</p>
      <button
        type="button"
        className="button"
        data-testid="retry"
        onClick={() => void (open.phase === 'failed' ? open.load() : open.retry())}
      >
        <RotateCw aria-hidden /> Retry
      </button>
    </div>
  );
}

function problemOf(open: OpenChat, error: Error | undefined): string | null {
  if (open.busy) return null;
  if (open.phase === 'failed') return `This chat could not be read. ${open.problem ?? ''}`;
  if (open.dropped) return null;
  if (open.undelivered !== null) return 'Your last message was not delivered.';
  if (open.problem !== null) return open.problem;
  return error === undefined ? null : explain(error);
}
