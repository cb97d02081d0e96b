import { useChat } from '@ai-sdk/react';
import type { UIMessage } from 'ai';
import { ArrowDown } from 'lucide-react';
import { type RefObject, useEffect, useState } from 'react';
import { steady } from '../chat/history';
import type { OpenChat } from '../chat/openChat';
import { textOf } from '../chat/parts';
import { useObserved } from '../lib/observable';
import { Announcer } from './Announcer';
import { Composer } from './Composer';
import { EmptyState } from './EmptyState';
import { MessageList } from './MessageList';
import { ProblemBanner } from './ProblemBanner';
import { WaitingList } from './WaitingList';
import { type ShownStatus, StatusLine } from './StatusLine';
import { useStickToBottom } from './useStickToBottom';

/** Milliseconds between two renderings of a growing answer, and of one that is longer than `LONG` characters. */
const RENDER_MS = 50;
const RENDER_LONG_MS = 200;
const LONG = 12_000;

interface Props {
  open: OpenChat;
  input: RefObject<HTMLTextAreaElement | null>;
}

/** One chat: its messages and the field for the next one. */
export function ChatPane({ open, input }: Props) {
  useObserved(open);
  const { messages, status, error } = useChat({ chat: open.chat, throttle: renderEvery(open.chat.messages) });
  const shown = useSteady(messages, open.catchingUp);
  const { scroller, content, away, jump } = useStickToBottom();
  const busy = open.catchingUp || status === 'submitted' || status === 'streaming';
  const count = messages.length;
  useEffect(() => {
    open.noticed();
  }, [open, status, count]);
  const send = (text: string, steer = false): void => {
    // A draft gets its address with its first message; by `replace`, so that Back leaves the chat.
    if (!open.begun) window.location.replace(chatUrl(open.id));
    void open.send(text, steer ? 'steer' : 'enqueue');
    jump();
  };

  return (
    <div className="pane">
      <div className="scroller" ref={scroller} tabIndex={-1}>
        <div className="column" ref={content}>
          {open.phase === 'loading' && shown.length === 0 && <Skeleton />}
          {!open.begun && <EmptyState open={open} ask={send} />}
          <MessageList open={open} messages={shown} busy={busy} />
          <WaitingList open={open} />
          <ProblemBanner open={open} error={status === 'error' ? error : undefined} />
        </div>
      </div>
      <div className="dock">
        {away && (
          <button type="button" className="jump" data-testid="jump" onClick={jump}>
            <ArrowDown aria-hidden /> Latest
          </button>
        )}
        <Composer
          key={open.id}
          chatId={open.id}
          input={input}
          waiting={open.waiting && !open.busy}
          busy={busy}
          send={send}
          stop={() => void open.stop()}
        />
        <StatusLine status={shownStatus(open, status)} dropped={open.dropped} />
      </div>
      <Announcer busy={busy} messages={shown} />
    </div>
  );
}

/** Markdown is parsed whole at each rendering; a long answer can wait a little for its next words. */
function renderEvery(messages: UIMessage[]): number {
  const last = messages.at(-1);
  return last !== undefined && textOf(last).length > LONG ? RENDER_LONG_MS : RENDER_MS;
}

function chatUrl(chatId: string): string {
  return new URL(`#/chat/${encodeURIComponent(chatId)}`, window.location.href).href;
}

/** What the person sees: an answer that is being caught up with is awaited, a lost connection is no error. */
function shownStatus(open: OpenChat, status: ShownStatus): ShownStatus {
  if (status === 'streaming' || status === 'submitted') return status;
  if (open.catchingUp || open.dropped) return 'submitted';
  return status;
}

/** The messages, never shorter than they were while a running answer is read again. */
function useSteady(incoming: UIMessage[], catchingUp: boolean): UIMessage[] {
  const [shown, setShown] = useState(incoming);
  const next = catchingUp ? steady(shown, incoming) : incoming;
  if (next !== shown) setShown(next);
  return next;
}

function Skeleton() {
  return (
    <div className="skeleton" aria-label="Loading the chat" aria-busy="true">
      <div className="skeleton-user" />
      <div />
      <div />
      <div />
    </div>
  );
}
