import { FileText } from 'lucide-react';
import type { Source } from '../chat/parts';
import { hostOf, linkable } from '../lib/url';

/** What an answer rests on, below it. */
export function Sources({ sources }: { sources: Source[] }) {
  if (sources.length === 0) return null;
  return (
    <section className="sources" aria-label="Sources" data-testid="sources">
      <p className="sources-title">Sources</p>
      <ol>
        {sources.map((source, index) => (
          <li key={source.sourceId}>
            <SourceView source={source} number={index + 1} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function SourceView({ source, number }: { source: Source; number: number }) {
  if (source.type === 'source-document') {
    return (
      <span className="chip">
        <FileText aria-hidden /> {source.title}
      </span>
    );
  }
  return (
    <a className="chip" href={linkable(source.url)} target="_blank" rel="noopener noreferrer">
      <span className="chip-number">{number}</span>
      <span className="chip-title">{source.title ?? source.url}</span>
      <span className="chip-host">{hostOf(source.url)}</span>
    </a>
  );
}
