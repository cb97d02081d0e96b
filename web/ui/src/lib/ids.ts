const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';

/** A new chat id. `crypto.randomUUID` would need https; this does not. */
export function newChatId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
