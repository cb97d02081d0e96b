import { useState } from 'react';
import { askedOf, type ToolAnswer, typedOutput } from '../chat/tool';

/** The question of a tool call that waits for the person, with a field for the answer. */
export function AnswerForm({ input, answer }: { input: unknown; answer: (given: ToolAnswer) => void }) {
  const [text, setText] = useState('');
  const { question, options } = askedOf(input);
  const typed = text.trim();
  return (
    <form
      className="answer-form"
      aria-label="Answer"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed !== '') answer({ output: typedOutput(typed) });
      }}
    >
      <p>{question ?? 'The agent waits for your answer.'}</p>
      {options.length > 0 && (
        <div className="answer-options">
          {options.map((option) => (
            <button
              key={option}
              type="button"
              className="chip"
              data-testid="answer-option"
              onClick={() => {
                answer({ output: option });
              }}
            >
              {option}
            </button>
          ))}
        </div>
      )}
      <div className="answer-row">
        <input
          type="text"
          className="field"
          value={text}
          placeholder="Text or JSON"
          aria-label={question ?? 'Your answer'}
          data-testid="answer-input"
          onChange={(event) => {
            setText(event.target.value);
          }}
        />
        <button
          type="button"
          className="button"
          data-testid="answer-error"
          title="Tell the agent that there is no answer; the text says why"
          onClick={() => {
            answer({ errorText: typed === '' ? 'The user gave no answer.' : typed });
          }}
        >
          Refuse
        </button>
        <button type="submit" className="button primary" data-testid="answer" disabled={typed === ''}>
          Answer
        </button>
      </div>
    </form>
  );
}
