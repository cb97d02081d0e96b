import { useState } from 'react';
import { CodeBlock } from './CodeBlock';

/** Characters shown of a long value until one asks for the rest. */
const SHORT = 4_000;

/** A JSON value with a heading; a string as it is. */
export function Value({ title, value }: { title: string; value: unknown }) {
  const [whole, setWhole] = useState(false);
  if (value === undefined) return null;
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  const cut = !whole && text.length > SHORT;
  return (
    <div className="value">
      <p className="value-title">{title}</p>
      <CodeBlock
        bare
        code={cut ? `${text.slice(0, SHORT)}…` : text}
        language={typeof value === 'string' ? null : 'json'}
      />
      {cut && (
        <button
          type="button"
          className="link-button"
          onClick={() => {
            setWhole(true);
          }}
        >
          Show all {text.length.toLocaleString('en')} characters
        </button>
      )}
    </div>
  );
}
