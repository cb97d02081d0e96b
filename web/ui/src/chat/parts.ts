import type {
  DataUIPart,
  DynamicToolUIPart,
  FileUIPart,
  SourceDocumentUIPart,
  SourceUrlUIPart,
  ToolUIPart,
  UIDataTypes,
  UIMessage,
} from 'ai';
import { isDataUIPart, isToolUIPart } from 'ai';

export type ToolPart = ToolUIPart | DynamicToolUIPart;
export type Source = SourceUrlUIPart | SourceDocumentUIPart;
export type Attachment = Pick<FileUIPart, 'url' | 'mediaType' | 'filename'>;

/** What one message shows, top to bottom. `key` stays the same while the message grows. */
export type Block = { key: string } & (
  | { kind: 'text'; text: string; streaming: boolean }
  | { kind: 'reasoning'; text: string; streaming: boolean }
  | { kind: 'tool'; part: ToolPart }
  | { kind: 'files'; files: Attachment[] }
  | { kind: 'data'; name: string; data: unknown }
  | { kind: 'steering'; text: string }
  | { kind: 'progress'; text: string; done: boolean }
  | { kind: 'mark'; text: string }
);

type Part = UIMessage['parts'][number];

/**
 * The blocks of a message: neighbouring thoughts and files become one block, empty parts and step marks none.
 * Sources are left to {@link sourcesOf}: they belong below the answer, wherever they arrived.
 */
export function blocksOf(parts: Part[]): Block[] {
  const blocks: Block[] = [];
  parts.forEach((part, index) => {
    const block = blockOf(part, String(index));
    if (block === null) return;
    const joined = join(blocks.at(-1), block);
    if (joined === null) blocks.push(block);
    else blocks.splice(-1, 1, joined);
  });
  return blocks;
}

/** The sources of a message, each once. */
export function sourcesOf(parts: Part[]): Source[] {
  const sources = new Map<string, Source>();
  for (const part of parts) {
    if (part.type === 'source-url') sources.set(part.url, part);
    else if (part.type === 'source-document') sources.set(part.sourceId, part);
  }
  return [...sources.values()];
}

/** What "copy" copies: the text, without thoughts and tools. */
export function textOf(message: UIMessage): string {
  return message.parts
    .flatMap((part) => (part.type === 'text' && part.text !== '' ? [part.text] : []))
    .join('\n\n');
}

function blockOf(part: Part, key: string): Block | null {
  if (isToolUIPart(part)) return { key, kind: 'tool', part };
  if (isDataUIPart(part)) return dataBlock(part, key);
  switch (part.type) {
    case 'text':
    case 'reasoning':
      if (part.text === '') return null;
      return { key, kind: part.type, text: part.text, streaming: part.state === 'streaming' };
    case 'file':
    case 'reasoning-file':
      return { key, kind: 'files', files: [part] };
    case 'steering-message':
      return { key, kind: 'steering', text: part.parts.map((p) => ('text' in p ? p.text : '')).join('') };
    case 'custom':
      return { key, kind: 'data', name: part.kind, data: part.providerMetadata };
    default:
      return null; // step marks and sources; and whatever a newer server sends
  }
}

/** Words of a divider for the marks that the server itself sets; the empty ones show nothing. */
const MARKS: Record<string, string> = {
  'data-background-injected': 'The agent was told something new',
  'data-compacted': 'What came before was summed up',
  'data-turn-end': '',
};

function dataBlock(part: DataUIPart<UIDataTypes>, key: string): Block | null {
  const mark = MARKS[part.type];
  if (mark !== undefined) return mark === '' ? null : { key, kind: 'mark', text: mark };
  if (part.type === 'data-progress') {
    const done = (part.data as { status?: unknown } | null)?.status === 'done';
    return { key, kind: 'progress', text: progressOf(part.data), done };
  }
  return { key, kind: 'data', name: part.type.slice('data-'.length), data: part.data };
}

/** Progress in one line: `queue: reading`. */
function progressOf(data: unknown): string {
  if (typeof data !== 'object' || data === null) return String(data);
  return Object.values(data)
    .map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
    .join(': ');
}

function join(last: Block | undefined, next: Block): Block | null {
  if (last?.kind === 'reasoning' && next.kind === 'reasoning') {
    return { ...last, text: `${last.text}\n\n${next.text}`, streaming: next.streaming };
  }
  if (last?.kind === 'files' && next.kind === 'files') {
    return { ...last, files: [...last.files, ...next.files] };
  }
  return null;
}
