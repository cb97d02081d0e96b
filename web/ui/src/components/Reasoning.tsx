import { Lightbulb } from 'lucide-react';
import { useState } from 'react';
import { Disclosure } from './Disclosure';
import { Markdown } from './Markdown';

/** The model's thoughts: open while it thinks, folded once it speaks, unless the reader chose. */
export function Reasoning({ text, thinking }: { text: string; thinking: boolean }) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? thinking;
  const head = (
    <>
      <Lightbulb aria-hidden />
      <span className={thinking ? 'shimmer' : undefined}>{thinking ? 'Thinking' : 'Thoughts'}</span>
    </>
  );
  return (
    <div data-testid="reasoning">
      <Disclosure
        className="reasoning"
        open={open}
        toggle={() => {
          setChosen(!open);
        }}
        head={head}
      >
        <Markdown text={text} />
      </Disclosure>
    </div>
  );
}
