import { memo, type ReactNode, useEffect, useState } from 'react';
import { CopyButton } from './CopyButton';

type Highlight = (code: string, language: string) => ReactNode;

/** Characters beyond which colours are not worth the wait. */
const MAX_COLOURED = 30_000;

let loaded: Highlight | null = null;

interface Props {
  code: string;
  language: string | null;
  /** Without the bar that names the language. */
  bare?: boolean;
}

export const CodeBlock = memo(function CodeBlock({ code, language, bare = false }: Props) {
  const highlight = useHighlight();
  const coloured = language !== null && code.length < MAX_COLOURED ? highlight?.(code, language) : null;
  return (
    <figure className={bare ? 'code bare' : 'code'}>
      {!bare && <figcaption>{language ?? 'text'}</figcaption>}
      <CopyButton text={code} label="Copy code" />
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- long lines scroll, also by keyboard */}
      <pre tabIndex={0}>
        <code>{coloured ?? code}</code>
      </pre>
    </figure>
  );
});

function useHighlight(): Highlight | null {
  const [highlight, setHighlight] = useState<Highlight | null>(() => loaded);
  useEffect(() => {
    if (highlight !== null) return;
    let wanted = true;
    import('./highlight').then(
      (module) => {
        loaded = module.highlight;
        if (wanted) setHighlight(() => module.highlight);
      },
      () => undefined, // the code stays readable without colours
    );
    return () => {
      wanted = false;
    };
  }, [highlight]);
  return highlight;
}
