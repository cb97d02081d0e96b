const LINKABLE = new Set(['http:', 'https:', 'mailto:', 'blob:']);

/** An address that may be linked to, else undefined: agents pass on what they were told. */
export function linkable(url: string): string | undefined {
  return LINKABLE.has(schemeOf(url)) ? url : undefined;
}

/** An address that may be shown as an image or offered as a download. */
export function loadable(url: string): string | undefined {
  return /^data:(?!text\/html|image\/svg)/i.test(url) ? url : linkable(url);
}

/** The host of an address, without `www.`; empty for what has none. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^www\./, '') : '';
}

function schemeOf(url: string): string {
  return URL.canParse(url) ? new URL(url).protocol : '';
}
