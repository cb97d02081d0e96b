import { Paperclip } from 'lucide-react';
import type { Attachment } from '../chat/parts';
import { loadable } from '../lib/url';

/** The files of a message: pictures as pictures, the rest to download. */
export function Files({ files }: { files: Attachment[] }) {
  return (
    <ul className="files">
      {files.map((file, index) => (
        <li key={index} data-testid="file">
          <FileView file={file} />
        </li>
      ))}
    </ul>
  );
}

function FileView({ file }: { file: Attachment }) {
  const url = loadable(file.url);
  const name = file.filename ?? file.mediaType;
  if (url !== undefined && file.mediaType.startsWith('image/')) {
    return <img src={url} alt={name} loading="lazy" referrerPolicy="no-referrer" />;
  }
  return (
    <a className="chip" href={url} download={file.filename ?? true} target="_blank" rel="noopener noreferrer">
      <Paperclip aria-hidden /> {name}
    </a>
  );
}
