import type { Element, ElementContent } from 'hast';
import { memo, type ReactNode } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { CodeBlock } from './CodeBlock';

const COMPONENTS: Components = {
  a: ({ href, children }) => <Link href={href}>{children}</Link>,
  // An image would be fetched from wherever the model says, with what it knows in the address: a link is enough.
  img: ({ src, alt }) => <Link href={String(src)}>{alt === '' ? 'image' : alt}</Link>,
  pre: ({ node }) => <CodeBlock code={plainText(node).replace(/\n$/, '')} language={languageOf(node)} />,
  table: ({ children }) => (
    <div className="table-scroll">
      <table>{children}</table>
    </div>
  ),
};

/** A link out of the page. An address that was dropped as dangerous leaves its words. */
function Link({ href, children }: { href: string | undefined; children: ReactNode }) {
  if (href === undefined || href === '') return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}

const PLUGINS = [remarkGfm];

/** Markdown as a model writes it. Raw HTML stays text, links to `javascript:` are dropped. */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return (
    <ReactMarkdown components={COMPONENTS} remarkPlugins={PLUGINS}>
      {text}
    </ReactMarkdown>
  );
});

function plainText(node: ElementContent | undefined): string {
  if (node?.type === 'text') return node.value;
  return node?.type === 'element' ? node.children.map(plainText).join('') : '';
}

/** The language that the fence names: `<code class="language-…">`. */
function languageOf(node: Element | undefined): string | null {
  const code = node?.children.find((child) => child.type === 'element');
  const names = code?.properties.className;
  const name = Array.isArray(names)
    ? names.map(String).find((one) => one.startsWith('language-'))
    : undefined;
  return name?.slice('language-'.length) ?? null;
}
