import { Braces } from 'lucide-react';
import { useState } from 'react';
import { previewOf } from '../chat/tool';
import { Disclosure } from './Disclosure';
import { Value } from './Value';

/** A `data-*` part: what an agent sends besides text, by its name. */
export function DataCard({ name, data }: { name: string; data: unknown }) {
  const [open, setOpen] = useState(false);
  const head = (
    <>
      <Braces className="tool-icon" aria-hidden />
      <span className="tool-name">{name}</span>
      <span className="tool-preview">{open ? '' : previewOf(data)}</span>
    </>
  );
  return (
    <div className="tool data" data-testid="data-card" data-name={name}>
      <Disclosure
        open={open}
        toggle={() => {
          setOpen(!open);
        }}
        head={head}
      >
        <Value title="Data" value={data} />
      </Disclosure>
    </div>
  );
}
