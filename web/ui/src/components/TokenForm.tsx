import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import type { TokenSource } from '../server/token';

/** Asks for an access token, where the server does not mint its own. */
export function TokenForm({ tokens }: { tokens: TokenSource }) {
  const [token, setToken] = useState('');
  const refused = tokens.state === 'refused';
  return (
    <main className="boot">
      <form
        className="boot-card"
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim() !== '') tokens.give(token.trim());
        }}
      >
        <KeyRound className="boot-icon" aria-hidden />
        <h1>Access token</h1>
        <p>
          This server does not hand out tokens to the playground. Paste one that your application made; it is
          kept until you close this tab.
        </p>
        <label htmlFor="token">Token</label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={token}
          aria-invalid={refused}
          aria-describedby={refused ? 'token-refused' : undefined}
          data-testid="token-input"
          onChange={(event) => {
            setToken(event.target.value);
          }}
        />
        {refused && (
          <p id="token-refused" className="field-error" role="alert">
            The server did not accept this token. It may have expired.
          </p>
        )}
        <button type="submit" className="button primary" disabled={token.trim() === ''}>
          Continue
        </button>
      </form>
    </main>
  );
}
