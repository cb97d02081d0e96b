import type { UIMessage } from 'ai';

export interface Frame {
  type: string;
  requestId: string;
  id?: string;
  trigger?: string;
  messages?: UIMessage[];
  body?: Record<string, unknown>;
}

export interface MockGateway {
  frames: Frame[];
  sessions: Map<string, { messages: UIMessage[]; status: string }>;
  restart(): void;
  close(): Promise<void>;
}

export function start(options?: {
  port?: number;
  tick?: number;
  auth?: string;
  prefix?: string;
}): Promise<{ gateway: MockGateway; port: number }>;
