import { ArrowUp, Square } from 'lucide-react';
import { type KeyboardEvent, type RefObject, useEffect, useState } from 'react';
import { useMedia } from '../lib/media';

/** What was typed and not sent, by chat, while one looks elsewhere. */
const drafts = new Map<string, string>();

interface Props {
  chatId: string;
  input: RefObject<HTMLTextAreaElement | null>;
  /** Nothing can be sent right now. */
  waiting: boolean;
  /** An answer is under way and can be stopped. */
  busy: boolean;
  /** `steer`: into the answer that is under way. */
  send: (text: string, steer: boolean) => void;
  stop: () => void;
}

/** The message field: Enter sends, or queues while the agent answers; Ctrl+Enter steers; Shift+Enter: a new line. */
export function Composer({ chatId, input, waiting, busy, send, stop }: Props) {
  const [text, setText] = useState(drafts.get(chatId) ?? '');
  const mouse = useMedia('(pointer: fine)');
  useEffect(() => {
    if (mouse) input.current?.focus(); // on a touch screen it would bring up the keyboard
  }, [input, mouse]);
  const change = (value: string): void => {
    setText(value);
    drafts.set(chatId, value);
  };
  const submit = (steer = false): void => {
    if (waiting || text.trim() === '') return;
    change('');
    send(text.trim(), busy && steer);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit(event.ctrlKey || event.metaKey);
  };

  return (
    <form
      id="composer"
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {/* The copy in data-text stretches the field in browsers without `field-sizing`. */}
      <div className="composer-field" data-text={text}>
        <textarea
          ref={input}
          rows={1}
          value={text}
          placeholder="Write a message…"
          aria-label="Message"
          enterKeyHint="send"
          data-testid="composer-input"
          onChange={(event) => {
            change(event.target.value);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      {busy && (
        <button
          type="button"
          className="round"
          aria-label="Stop"
          title="Stop (Esc)"
          data-testid="stop"
          onClick={stop}
        >
          <Square aria-hidden fill="currentColor" />
        </button>
      )}
      {(!busy || text.trim() !== '') && (
        <button
          type="submit"
          className="round"
          aria-label={busy ? 'Queue' : 'Send'}
          title={busy ? 'Queue (Enter), steer (Ctrl+Enter)' : 'Send (Enter)'}
          data-testid="send"
          disabled={waiting || text.trim() === ''}
        >
          <ArrowUp aria-hidden />
        </button>
      )}
    </form>
  );
}
