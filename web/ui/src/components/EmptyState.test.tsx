// @vitest-environment happy-dom
import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';
import { AgentList } from '../chat/agentList';
import { type Playground, PlaygroundContext } from '../playground';
import type { Agent } from '../server/api';
import { EmptyState } from './EmptyState';

afterEach(cleanup);

async function show(agent: Agent): Promise<void> {
  const agents = new AgentList(
    { agents: () => Promise.resolve([agent]) },
    { get: () => null, set: () => undefined },
    null,
  );
  await agents.refresh();
  render(
    <PlaygroundContext value={{ agents } as Playground}>
      <EmptyState open={{ agent: agent.id }} ask={() => undefined} />
    </PlaygroundContext>,
  );
}

it('names the model as the default, which an agent may leave aside', async () => {
  await show({ id: 'simple', model: 'demo/assistant', online: true, examples: ['Hello?'] });
  expect(screen.getByText('default model: demo/assistant')).toBeTruthy();
  expect(screen.getAllByTestId('example')).toHaveLength(1);
});

it('shows no list where there are no examples', async () => {
  await show({ id: 'simple', online: true });
  expect(screen.queryByRole('list')).toBeNull();
});
