import { CornerDownRight, ListPlus, Pencil, X } from 'lucide-react';
import { useState } from 'react';
import type { OpenChat } from '../chat/openChat';
import { type Waiting, waitingText } from '../chat/waitingLine';

/** The messages that wait under the running answer; each can be changed or taken back. */
export function WaitingList({ open }: { open: OpenChat }) {
  const waiting = open.waitingLine;
  if (waiting.length === 0) return null;
  return (
    <ul className="waiting" aria-label="Waiting messages">
      {waiting.map((each) => (
        <WaitingItem
          key={each.message.id}
          waiting={each}
          edit={(text) => void open.line.edit(each, text, open.agent)}
          cancel={() => void open.line.cancel(each)}
        />
      ))}
    </ul>
  );
}

interface ItemProps {
  waiting: Waiting;
  edit: (text: string) => void;
  cancel: () => void;
}

function WaitingItem({ waiting, edit, cancel }: ItemProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const underway = waiting.seq === null && !waiting.lost;
  const Icon = waiting.steers ? CornerDownRight : ListPlus;
  const keep = (): void => {
    const changed = waiting.lost || draft !== waitingText(waiting);
    if (draft !== null && draft.trim() !== '' && changed) edit(draft.trim());
    setDraft(null);
  };
  return (
    <li className="waiting-item" data-testid="queued" data-steers={waiting.steers}>
      <Icon aria-hidden />
      {draft === null ? (
        <span className="waiting-text">{waitingText(waiting)}</span>
      ) : (
        <input
          type="text"
          className="field"
          value={draft}
          aria-label="Waiting message"
          data-testid="queued-input"
          onChange={(event) => {
            setDraft(event.target.value);
          }}
          onBlur={keep}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.nativeEvent.isComposing) keep();
            if (event.key !== 'Escape') return;
            event.stopPropagation(); // it would stop the answer
            setDraft(null);
          }}
        />
      )}
      <span className="waiting-label">
        {waiting.lost ? 'Not sent' : waiting.steers ? 'Steers' : 'Queued'}
      </span>
      <button
        type="button"
        className="icon-button small"
        aria-label="Change the waiting message"
        data-testid="queued-edit"
        disabled={underway}
        onClick={() => {
          setDraft(waitingText(waiting));
        }}
      >
        <Pencil aria-hidden />
      </button>
      <button
        type="button"
        className="icon-button small"
        aria-label="Take the waiting message back"
        data-testid="queued-cancel"
        disabled={underway}
        onClick={cancel}
      >
        <X aria-hidden />
      </button>
    </li>
  );
}
