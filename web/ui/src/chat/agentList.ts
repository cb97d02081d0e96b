import { Observable } from '../lib/observable';
import type { Store } from '../lib/storage';
import type { Agent, Api } from '../server/api';

const KEY = 'agent';

/** The agents that the server knows, and the one that new chats begin with. */
export class AgentList extends Observable {
  agents: Agent[] = [];

  constructor(
    readonly api: Pick<Api, 'agents'>,
    readonly kept: Store,
    readonly fallback: string | null,
  ) {
    super();
  }

  readonly refresh = async (): Promise<void> => {
    this.agents = await this.api.agents();
    this.changed();
  };

  /** The same for whoever can go on without: a lost connection is noticed and mended elsewhere. */
  readonly look = (): Promise<void> => this.refresh().catch(() => undefined);

  find(id: string | null): Agent | undefined {
    return this.agents.find((agent) => agent.id === id);
  }

  get anyOnline(): boolean {
    return this.agents.some((agent) => agent.online);
  }

  /** The one used last, else the server's default, else the first; one that is online wherever possible. */
  preferred(): string | null {
    const wished = [this.find(this.kept.get(KEY)), this.find(this.fallback), ...this.agents];
    const known = wished.filter((agent) => agent !== undefined);
    return (known.find((agent) => agent.online) ?? known[0])?.id ?? null;
  }

  /** Remembers a choice for the chats to come. */
  prefer(id: string): void {
    this.kept.set(KEY, id);
  }
}
