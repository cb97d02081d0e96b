import type { ChatStatus } from 'ai';

export type ShownStatus = ChatStatus;

const WORDS: Record<ShownStatus, string> = {
  ready: 'Ready',
  submitted: 'Working…',
  streaming: 'Answering…',
  error: 'Something went wrong',
};

/** One line under the message field: what the agent does, else what the keys do. */
export function StatusLine({ status, dropped }: { status: ShownStatus; dropped: boolean }) {
  const busy = status === 'submitted' || status === 'streaming';
  return (
    <p className="status-line">
      <span role="status" data-testid="status" data-status={status}>
        {dropped ? 'Waiting for the server…' : WORDS[status]}
      </span>
      <span className="keys" aria-hidden hidden={dropped}>
        {busy ? (
          <>
            <kbd>Enter</kbd> queues · <kbd>Ctrl</kbd> <kbd>Enter</kbd> steers · <kbd>Esc</kbd> stops
          </>
        ) : (
          <>
            <kbd>Enter</kbd> sends · <kbd>Shift</kbd> <kbd>Enter</kbd> new line · <kbd>/</kbd> focuses
          </>
        )}
      </span>
    </p>
  );
}
