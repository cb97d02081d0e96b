import { ChevronRight } from 'lucide-react';
import { type ReactNode, useId } from 'react';

interface Props {
  open: boolean;
  toggle: () => void;
  /** What the button says. */
  head: ReactNode;
  children: ReactNode;
  className?: string;
}

/** A button that shows and hides what is below it. */
export function Disclosure({ open, toggle, head, children, className = '' }: Props) {
  const panel = useId();
  return (
    <div className={`disclosure ${className}`} data-open={open}>
      <button
        type="button"
        className="disclosure-head"
        aria-expanded={open}
        aria-controls={panel}
        onClick={toggle}
      >
        {head}
        <ChevronRight className="chevron" aria-hidden />
      </button>
      <div id={panel} className="disclosure-panel" hidden={!open}>
        {open && children}
      </div>
    </div>
  );
}
