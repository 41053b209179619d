/** Asks for a token where the server requires one. */
import { useEffect, useState } from 'preact/hooks';
import { onDenied, setToken } from './server.ts';

export function Access({ onToken }: { readonly onToken: () => void }) {
  const [fault, setFault] = useState('');
  const [text, setText] = useState('');
  useEffect(() => onDenied(setFault), []);
  if (!fault) return null;
  return (
    <form
      id="access"
      class="card"
      onSubmit={(event) => {
        event.preventDefault();
        setToken(text);
        setFault('');
        onToken();
      }}
    >
      <p class="fault" role="alert">
        {fault}
      </p>
      <label for="token">Access token</label>
      <input
        id="token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        aria-describedby="token-hint"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <p class="hint" id="token-hint">
        Kept until this tab is closed.
      </p>
      <button type="submit">Use this token</button>
    </form>
  );
}
