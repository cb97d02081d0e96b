import type { UIMessage } from 'ai';
import { useCallback } from 'react';
import type { OpenChat } from '../chat/openChat';
import { useObserved } from '../lib/observable';
import { usePlayground } from '../playground';
import type { ToolPart } from '../chat/parts';
import type { ToolAnswer } from '../chat/tool';
import { Message } from './Message';

interface Props {
  open: OpenChat;
  messages: UIMessage[];
  busy: boolean;
}

export function MessageList({ open, messages, busy }: Props) {
  const { agents, connection } = usePlayground();
  const { state } = useObserved(connection);
  const unserved = useObserved(agents).find(open.agent)?.online === false;
  const live = busy || open.dropped; // a lost connection is no end
  const last = messages.length - 1;
  const approve = useCallback(
    (id: string, approved: boolean) => {
      void open.approve(id, approved);
    },
    [open],
  );
  const answer = useCallback(
    (part: ToolPart, given: ToolAnswer) => {
      void open.answer(part, given);
    },
    [open],
  );
  const regenerate = useCallback(() => {
    void open.regenerate();
  }, [open]);
  if (messages.length === 0) return null;
  // Until its first part arrives the answer has no message to show its progress in.
  const awaiting = busy && (messages[last]?.role === 'user' || messages[last]?.parts.length === 0);
  return (
    <div className="messages" role="log" aria-live="off" aria-label="Messages" aria-busy={busy}>
      {messages.map((message, index) => (
        <Message
          key={message.id}
          message={message}
          live={live && index === last && message.role === 'assistant'}
          latest={index === last}
          approve={approve}
          answer={answer}
          regenerate={index === last && !open.waiting && state === 'online' ? regenerate : undefined}
        />
      ))}
      {awaiting && <Thinking words={unserved ? 'Waiting for a worker that serves this agent' : 'Working'} />}
      {open.dropped && <Thinking words="Connection lost. This goes on by itself once the server is back." />}
    </div>
  );
}

function Thinking({ words }: { words: string }) {
  return (
    <p className="thinking">
      <span className="thinking-dots" aria-hidden>
        <i />
        <i />
        <i />
      </span>
      <span>{words}</span>
    </p>
  );
}
