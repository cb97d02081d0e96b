import type { UIMessage } from 'ai';
import { Ban, Check, CircleDashed, LoaderCircle, ShieldQuestion, TriangleAlert } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { ToolPart } from '../chat/parts';
import { messageIn, type ToolAnswer, type ToolFace, toolFace } from '../chat/tool';
import { AnswerForm } from './AnswerForm';
import { Disclosure } from './Disclosure';
import { Value } from './Value';

const ICONS: Record<ToolFace['tone'], typeof Check> = {
  working: LoaderCircle,
  done: Check,
  failed: TriangleAlert,
  asking: ShieldQuestion,
  refused: Ban,
  unfinished: CircleDashed,
};

interface Props {
  part: ToolPart;
  live: boolean;
  approve: (id: string, approved: boolean) => void;
  /** There only while a call of this message may wait for the person. */
  answer?: ((part: ToolPart, given: ToolAnswer) => void) | undefined;
  /** How to draw the message of a sub-agent. */
  nested?: ((message: UIMessage) => ReactNode) | undefined;
}

/** One tool call: folded to a line, with its input and what it gave inside. */
export function ToolCard({ part, live, approve, answer, nested }: Props) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const mine = answer !== undefined && !live && part.state === 'input-available' && !part.providerExecuted;
  const face = toolFace(part, live, mine);
  const said = nested !== undefined && part.state === 'output-available' ? messageIn(part.output) : null;
  const asking = part.state === 'approval-requested';
  const open = chosen ?? (asking || said !== null);
  const Icon = ICONS[face.tone];
  const head = (
    <>
      <Icon className="tool-icon" aria-hidden />
      <span className="tool-name">{face.name}</span>
      <span className="tool-preview">{open ? '' : face.preview}</span>
      <span className="tool-label">{face.label}</span>
    </>
  );
  return (
    <div
      className="tool"
      data-testid="tool-card"
      data-tool={face.name}
      data-state={part.state}
      data-tone={face.tone}
    >
      <Disclosure
        open={open}
        toggle={() => {
          setChosen(!open);
        }}
        head={head}
      >
        <Value title="Input" value={part.input} />
        {said !== null && <div className="nested">{nested?.(said)}</div>}
        {part.state === 'output-available' && said === null && <Value title="Output" value={part.output} />}
        {part.state === 'output-error' && <p className="tool-error">{part.errorText}</p>}
        {part.state === 'output-denied' && (
          <p className="tool-error">{part.approval.reason ?? 'You did not allow this call.'}</p>
        )}
      </Disclosure>
      {mine && (
        <AnswerForm
          input={part.input}
          answer={(given) => {
            answer(part, given);
          }}
        />
      )}
      {asking && (
        <Approval
          reason={part.approval.requestReason}
          decide={(approved) => {
            approve(part.approval.id, approved);
          }}
        />
      )}
    </div>
  );
}

function Approval({ reason, decide }: { reason: string | undefined; decide: (approved: boolean) => void }) {
  return (
    <div className="approval" role="group" aria-label="Approval">
      <p>{reason ?? 'The agent wants to run this tool.'}</p>
      <div className="approval-buttons">
        <button
          type="button"
          className="button"
          data-testid="deny"
          onClick={() => {
            decide(false);
          }}
        >
          Deny
        </button>
        <button
          type="button"
          className="button primary"
          data-testid="approve"
          onClick={() => {
            decide(true);
          }}
        >
          Approve
        </button>
      </div>
    </div>
  );
}
