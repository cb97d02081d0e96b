import type { UIMessage } from 'ai';
import { RotateCw } from 'lucide-react';
import { memo } from 'react';
import { type Block, blocksOf, sourcesOf, textOf, type ToolPart } from '../chat/parts';
import type { ToolAnswer } from '../chat/tool';
import { CopyButton } from './CopyButton';
import { DataCard } from './DataCard';
import { Files } from './Files';
import { Guard } from './Guard';
import { Markdown } from './Markdown';
import { Reasoning } from './Reasoning';
import { Sources } from './Sources';
import { ToolCard } from './ToolCard';

interface Props {
  message: UIMessage;
  /** The message is still growing. */
  live: boolean;
  latest: boolean;
  approve: (id: string, approved: boolean) => void;
  answer: (part: ToolPart, given: ToolAnswer) => void;
  regenerate: (() => void) | undefined;
}

const MessageView = memo(function MessageView(props: Props) {
  const { message, live, latest, approve, answer, regenerate } = props;
  const blocks = blocksOf(message.parts);
  const text = textOf(message);
  const mine = message.role === 'user';
  return (
    <article
      className={`message ${mine ? 'mine' : 'theirs'}`}
      data-testid="message"
      data-role={message.role}
      data-live={live}
      aria-label={mine ? 'You' : 'Answer'}
    >
      <div className="message-body">
        {blocks.map((block, index) => (
          <BlockView
            key={block.key}
            block={block}
            mine={mine}
            live={live}
            growing={live && index === blocks.length - 1}
            approve={approve}
            answer={latest && !live ? answer : undefined}
          />
        ))}
        <Sources sources={sourcesOf(message.parts)} />
      </div>
      {!live && (text !== '' || regenerate !== undefined) && (
        <div className="message-actions" data-latest={latest}>
          {text !== '' && <CopyButton text={text} label="Copy message" />}
          {!mine && regenerate !== undefined && (
            <button
              type="button"
              className="icon-button small"
              aria-label="Answer again"
              title="Answer again"
              data-testid="regenerate"
              onClick={regenerate}
            >
              <RotateCw aria-hidden />
            </button>
          )}
          {!mine && <Meta metadata={message.metadata} />}
        </div>
      )}
    </article>
  );
});

/** One message; one that cannot be shown does not take the page with it. */
export function Message(props: Props) {
  return (
    <Guard>
      <MessageView {...props} />
    </Guard>
  );
}

interface BlockProps {
  block: Block;
  mine: boolean;
  live: boolean;
  growing: boolean;
  approve: (id: string, approved: boolean) => void;
  answer: ((part: ToolPart, given: ToolAnswer) => void) | undefined;
}

function BlockView({ block, mine, live, growing, approve, answer }: BlockProps) {
  switch (block.kind) {
    case 'text':
      return (
        <div className={growing ? 'text growing' : 'text'} data-testid="message-text">
          {mine ? <p className="plain">{block.text}</p> : <Markdown text={block.text} />}
        </div>
      );
    case 'reasoning':
      return <Reasoning text={block.text} thinking={growing} />;
    case 'tool':
      return (
        <ToolCard part={block.part} live={live} approve={approve} answer={answer} nested={nestedMessage} />
      );
    case 'files':
      return <Files files={block.files} />;
    case 'data':
      return <DataCard name={block.name} data={block.data} />;
    case 'steering':
      return (
        <p className="steering" data-testid="steering">
          {block.text}
        </p>
      );
    case 'progress':
      return (
        <p className="progress" data-testid="progress" data-done={block.done}>
          {block.text}
        </p>
      );
    case 'mark':
      return (
        <p className="mark" data-testid="mark">
          {block.text}
        </p>
      );
  }
}

/** What a sub-agent said, inside the card of the tool that called it. Its calls are its own: none waits for us. */
function nestedMessage(message: UIMessage) {
  const nothing = (): void => undefined;
  return (
    <div className="message-body" data-testid="nested-message">
      {blocksOf(message.parts).map((block) => (
        <BlockView
          key={block.key}
          block={block}
          mine={false}
          live={false}
          growing={false}
          approve={nothing}
          answer={undefined}
        />
      ))}
    </div>
  );
}

/** The model and the tokens, where the agent sends them in the message's metadata. */
function Meta({ metadata }: { metadata: unknown }) {
  const { model, usage } = (metadata ?? {}) as { model?: unknown; usage?: { totalTokens?: unknown } };
  const facts = [
    typeof model === 'string' ? model : null,
    typeof usage?.totalTokens === 'number' ? `${usage.totalTokens} tokens` : null,
  ].filter((fact) => fact !== null);
  return facts.length === 0 ? null : <span className="meta">{facts.join(' · ')}</span>;
}
