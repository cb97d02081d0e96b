import { Chat } from '@ai-sdk/react';
import type { ChatTransport, UIMessage } from 'ai';
import {
  getToolName,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
} from 'ai';
import { backoffMs, pause } from '../lib/backoff';
import { newChatId } from '../lib/ids';
import { Observable } from '../lib/observable';
import type { Api, Busy, History } from '../server/api';
import { explain, isNetworkError } from '../server/errors';
import { isActive, mergeHistory } from './history';
import type { ToolPart } from './parts';
import type { ToolAnswer } from './tool';
import { type Waiting, WaitingLine } from './waitingLine';

/** Milliseconds that a stop may take on the server before we show that the agent is still at work. */
const STOP_PATIENCE_MS = 10_000;
/** Milliseconds between two looks at a chat that is being stopped. */
const STOP_LOOK_MS = 250;

/** What an open chat needs from the page around it. */
export interface Surroundings {
  api: Pick<Api, 'history' | 'stop' | 'submit' | 'queue' | 'edit' | 'cancel'>;
  transport: ChatTransport<UIMessage>;
  /** Lets the next abort frame of this chat through. */
  allowAbort: (chatId: string) => void;
  /** The agent of chats that have none yet. */
  preferredAgent: () => string | null;
  /** Asks anew which agents there are: a page may be open before the first worker is. */
  lookForAgents: () => Promise<void>;
  /** Something about this chat changed that the chat list shows. */
  touched: () => void;
}

/**
 * One chat that is open in this page: the stock `Chat`, kept in step with the server.
 *
 * It lives outside React, so that looking at another chat neither stops nor loses an answer. It asks for a
 * stream only when none is being read: a second resume would make the stock client abort the first.
 */
export class OpenChat extends Observable {
  readonly chat: Chat<UIMessage>;
  /** `new` until the server knows the chat. */
  phase: 'new' | 'loading' | 'ready' | 'failed' = 'new';
  /** The agent that was chosen for this chat or that the server says it has. */
  chosen: string | null = null;
  title: string | null = null;
  /** When something last happened here, in ms since 1970; null when nothing has since the page was opened. */
  activeAt: number | null = null;
  /** Reading a running answer again from its start. */
  catchingUp = false;
  /** A message that the server never got. */
  undelivered: UIMessage | null = null;
  /** A sentence to show about what could not be done. */
  problem: string | null = null;
  /** The stream broke off with the connection; mended by {@link sync} once the server is back. */
  dropped = false;
  /** The messages that wait while the agent answers another. */
  readonly line: WaitingLine;
  #streams = 0;
  #stopAskedAt: number | null = null;
  #syncing: Promise<void> | null = null;

  constructor(
    readonly id: string,
    readonly around: Surroundings,
  ) {
    super();
    this.line = new WaitingLine(id, around.api, this.#noteLine);
    this.chat = new Chat<UIMessage>({
      id,
      transport: around.transport,
      sendAutomaticallyWhen: (at) =>
        lastAssistantMessageIsCompleteWithApprovalResponses(at) ||
        lastAssistantMessageIsCompleteWithToolCalls(at),
      onFinish: this.#finished,
      onError: this.#failed,
    });
  }

  get agent(): string | null {
    return this.chosen ?? this.around.preferredAgent();
  }

  /** True while an answer is awaited or read. */
  get busy(): boolean {
    return this.catchingUp || isBusy(this.chat);
  }

  /** True while the composer has to wait. */
  get waiting(): boolean {
    return this.busy || this.dropped || this.phase === 'loading' || this.phase === 'failed';
  }

  /** True once the agent cannot be chosen any more. */
  get begun(): boolean {
    return (
      this.activeAt !== null ||
      this.chat.messages.length > 0 ||
      this.phase === 'loading' ||
      this.phase === 'failed'
    );
  }

  choose(agent: string): void {
    this.chosen = agent;
    this.changed();
  }

  /** The stock chat changed in a way that only its watchers are told of. */
  noticed(): void {
    this.#tell();
  }

  /** Reads the chat from the server and goes on reading an answer that is running. */
  async load(): Promise<void> {
    this.phase = 'loading';
    this.changed();
    await this.sync();
  }

  /** Looks whether another tab did something meanwhile. */
  async refresh(): Promise<void> {
    if (this.phase === 'ready' && !this.waiting && this.chat.status === 'ready') await this.sync();
  }

  /** Asks; while the agent answers, the message waits in line, or steers the running answer. */
  async send(text: string, busy: Busy = 'enqueue'): Promise<void> {
    if (this.agent === null) await this.around.lookForAgents();
    if (this.busy) {
      await this.line.add(
        { id: newChatId(), role: 'user', parts: [{ type: 'text', text }] },
        busy,
        this.agent,
      );
      return this.#catchUp();
    }
    this.undelivered = null;
    this.#begin();
    await this.chat.sendMessage({ text });
    await this.#next();
  }

  /** The waiting messages that the page does not show elsewhere by now. */
  get waitingLine(): Waiting[] {
    return this.line.without(this.chat.messages);
  }

  /** The server says that something happened in this chat. */
  async heard(running: boolean): Promise<void> {
    if (this.phase !== 'ready') return;
    if (running && !this.waiting && this.chat.status === 'ready') await this.sync();
    else if (this.busy || this.line.all.length > 0) await this.line.refresh().catch(() => undefined); // until next time
  }

  /** Answers a tool call that waits for the person; an error says why there is no answer. */
  async answer(part: ToolPart, given: ToolAnswer): Promise<void> {
    this.#begin();
    const call = { tool: getToolName(part), toolCallId: part.toolCallId };
    await this.chat.addToolOutput(
      'output' in given ? { ...call, ...given } : { ...call, ...given, state: 'output-error' },
    );
  }

  async regenerate(): Promise<void> {
    this.#begin();
    await this.chat.regenerate();
    await this.#next();
  }

  async approve(approvalId: string, approved: boolean): Promise<void> {
    this.#begin();
    await this.chat.addToolApprovalResponse({ id: approvalId, approved });
  }

  /** The user's stop: here at once, and on the server whichever connection the answer runs on. */
  async stop(): Promise<void> {
    this.#stopAskedAt = Date.now();
    this.around.allowAbort(this.id);
    // Both name the answer that is stopped: whichever comes second stops nothing, above all not the next one.
    const told = this.around.api.stop(this.id, this.chat.messages.at(-1)?.id).catch((error: unknown) => {
      this.problem = `The agent may still be at work: ${explain(error)}`;
    });
    await Promise.all([this.chat.stop(), told]);
    if (this.waitingLine.length > 0) this.#stopAskedAt = null; // what waited is answered now
    await this.sync();
    this.#stopAskedAt = null;
  }

  /** After an error: sends what was lost, follows what still runs, or asks for the answer again. */
  async retry(): Promise<void> {
    this.problem = null;
    const history = await this.around.api.history(this.id).catch(this.#noteProblem);
    if (history === undefined) return;
    const question = this.chat.messages.findLast((message) => message.role === 'user');
    const known = history?.messages.some((message) => message.id === question?.id) ?? false;
    this.chat.clearError();
    if (history !== null && isActive(history.status)) await this.sync();
    else if (question !== undefined && !known) await this.#resend(question);
    else if (question !== undefined) await this.regenerate();
  }

  /** Makes this page show what the server holds, and follows the answer that runs, if any. */
  sync(): Promise<void> {
    this.#syncing ??= this.#sync()
      .catch(this.#noteProblem)
      .finally(() => {
        this.#syncing = null;
        this.catchingUp = false;
        this.#tell();
      });
    return this.#syncing;
  }

  async #sync(): Promise<void> {
    for (let attempt = 0; !isBusy(this.chat); attempt += 1) {
      const history = await this.around.api.history(this.id);
      await this.line.refresh();
      if (isBusy(this.chat)) return; // the user was quicker
      const active = this.#adopt(history);
      if (!active) return;
      if (this.#isStopping()) {
        await pause(STOP_LOOK_MS);
        continue;
      }
      const followed = await this.#follow();
      if (this.dropped || this.chat.status === 'error') return;
      if (!followed) await pause(backoffMs(attempt)); // queued: its stream is about to begin
    }
  }

  #adopt(history: History | null): boolean {
    const active = history !== null && isActive(history.status);
    const stored = this.line.unasked(history?.messages ?? []);
    const { messages, undelivered } = mergeHistory(this.chat.messages, stored, active);
    this.chat.messages = messages;
    if (this.dropped) this.chat.clearError();
    this.dropped = false;
    this.phase = 'ready';
    this.problem = null;
    this.undelivered = undelivered;
    this.chosen = history?.taskIdentifier ?? history?.agent ?? this.chosen;
    this.title = history?.title ?? this.title;
    this.catchingUp = active && !this.#isStopping();
    this.#tell();
    return active;
  }

  /** For a message that came when the answer had just ended. */
  async #catchUp(): Promise<void> {
    if (!this.busy) await this.sync();
  }

  /** Goes on with what waited for the end of an answer. */
  async #next(): Promise<void> {
    if (this.line.all.length > 0 && !this.dropped && this.chat.status === 'ready') await this.sync();
  }

  /** Reads the running answer to its end. False when there was none to read. */
  async #follow(): Promise<boolean> {
    const before = this.#streams;
    await this.chat.resumeStream();
    return this.#streams > before;
  }

  async #resend(message: UIMessage): Promise<void> {
    this.undelivered = null;
    this.chat.messages = this.chat.messages.filter(({ id }) => id !== message.id);
    this.#begin();
    await this.chat.sendMessage(message); // with its id, so that the server can tell a repetition
  }

  #begin(): void {
    this.phase = 'ready';
    this.chosen = this.agent;
    this.problem = null;
    this.#stopAskedAt = null;
    this.activeAt = Date.now();
    this.#tell();
  }

  #isStopping(): boolean {
    return this.#stopAskedAt !== null && Date.now() - this.#stopAskedAt < STOP_PATIENCE_MS;
  }

  readonly #finished = ({ isDisconnect }: { isDisconnect: boolean }): void => {
    this.#streams += 1;
    this.dropped = isDisconnect;
    this.activeAt = Date.now();
    this.#tell();
  };

  readonly #failed = (error: Error): void => {
    if (isNetworkError(error)) this.dropped = true;
    this.#tell();
  };

  readonly #noteProblem = (error: unknown): undefined => {
    if (this.phase === 'loading') this.phase = 'failed';
    if (!isNetworkError(error)) this.dropped = false;
    else if (this.phase !== 'new') this.dropped = true;
    this.problem = explain(error);
    this.#tell();
  };

  readonly #noteLine = (problem: string | null): void => {
    this.problem = problem ?? this.problem;
    this.#tell();
  };

  #tell(): void {
    this.changed();
    this.around.touched();
  }
}

function isBusy(chat: Chat<UIMessage>): boolean {
  return chat.status === 'submitted' || chat.status === 'streaming';
}
