import { homedir } from "node:os";
import * as vscode from "vscode";
import type { ErrorHandler, LanguageClient, LanguageClientOptions } from "vscode-languageclient/node";
import { findServer, NoServer, type ServerCommand } from "./findServer";
import { withoutIcons } from "./icons";
import type * as languageClient from "./languageClient";
import { SELECTOR } from "./languages";
import { reason } from "./processes";
import { chosenSettings } from "./settings";

const MOST_CRASHES = 5;
const CRASH_WINDOW_MS = 3 * 60_000;

/** `missing` is a server that was not found or is too old, `failed` one that does not start or stay. */
export type ServerState =
  | { readonly kind: "stopped" | "starting" }
  | { readonly kind: "running"; readonly server: ServerCommand }
  | { readonly kind: "missing" | "failed"; readonly message: string; readonly isSetting: boolean };

/** What `qsum/status` says. */
export interface ServerStatus {
  readonly state: "idle" | "busy" | "error";
  readonly message: string;
  readonly engine: string | null;
  readonly model: string | null;
  readonly device: string | null;
  readonly running: number;
  readonly waiting: number;
}

/** The language server: one at a time, found again at each start. */
export class Server implements vscode.Disposable {
  private readonly stateChanged = new vscode.EventEmitter<ServerState>();
  private readonly statusChanged = new vscode.EventEmitter<ServerStatus>();
  private readonly summariesChanged = new vscode.EventEmitter<string>();
  private client: LanguageClient | undefined;
  private current: ServerState = { kind: "stopped" };
  private queue: Promise<void> = Promise.resolve();
  private isRestartQueued = false;
  private crashes: number[] = [];

  readonly onDidChangeState = this.stateChanged.event;
  readonly onDidChangeStatus = this.statusChanged.event;
  /** The URI of a document with new summaries. */
  readonly onDidChangeSummaries = this.summariesChanged.event;

  constructor(
    private readonly extension: vscode.Extension<unknown>,
    private readonly privateServer: string,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  get state(): ServerState {
    return this.current;
  }

  /** Starts the server, or starts it anew; calls that come while one waits are one. */
  restart(): Promise<void> {
    if (!this.isRestartQueued) {
      this.isRestartQueued = true;
      this.crashes = [];
      this.queue = this.queue.then(async () => {
        this.isRestartQueued = false;
        await this.stopClient();
        await this.startClient();
      });
    }
    return this.queue;
  }

  stop(): Promise<void> {
    this.queue = this.queue.then(() => this.stopClient());
    return this.queue;
  }

  /** Sends a request; undefined where no server runs. Rejects with what the server answers. */
  async request<Result>(
    method: string,
    params: unknown,
    token?: vscode.CancellationToken,
  ): Promise<Result | undefined> {
    const client = this.client;
    if (!client?.isRunning()) {
      return undefined;
    }
    // An absent token would be sent as a second parameter.
    return token
      ? client.sendRequest<Result>(method, params, token)
      : client.sendRequest<Result>(method, params);
  }

  dispose(): void {
    this.stateChanged.dispose();
    this.statusChanged.dispose();
    this.summariesChanged.dispose();
  }

  private async startClient(): Promise<void> {
    this.setState({ kind: "starting" });
    try {
      const server = await findServer(this.privateServer, this.log);
      const library = await import("./languageClient");
      const { LanguageClient, State } = library;
      const client = new LanguageClient("qsum", "qsum", this.executable(server), this.clientOptions(library));
      client.onDidChangeState(({ newState }) => {
        if (this.client !== client) {
          return;
        }
        if (newState === State.Running) {
          this.setState({ kind: "running", server });
        } else if (newState === State.Starting) {
          this.setState({ kind: "starting" });
        }
      });
      client.onNotification("qsum/status", (status: ServerStatus) => this.statusChanged.fire(status));
      client.onNotification("qsum/summariesChanged", ({ uri }: { uri: string }) =>
        this.summariesChanged.fire(uri),
      );
      this.client = client;
      await client.start();
      this.setState({ kind: "running", server });
    } catch (error) {
      const message = reason(error);
      this.log.error(message);
      if (error instanceof NoServer) {
        this.setState({ kind: "missing", message, isSetting: error.isSetting });
      } else if (this.current.kind !== "failed") {
        this.fail(`The qsum language server did not start. ${message}`);
      }
    }
  }

  private async stopClient(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client?.needsStop()) {
      try {
        await client.dispose();
      } catch (error) {
        this.log.warn(`The server did not stop cleanly. ${reason(error)}`);
      }
    }
    this.setState({ kind: "stopped" });
  }

  private executable(server: ServerCommand) {
    // Not the workspace: what lies there must not change what the program does.
    return { command: server.command, args: [...server.args, "lsp"], options: { cwd: homedir() } };
  }

  private clientOptions(library: typeof languageClient): LanguageClientOptions {
    return {
      documentSelector: SELECTOR,
      outputChannel: this.log,
      revealOutputChannelOn: library.RevealOutputChannelOn.Never,
      initializationOptions: () => ({
        settings: chosenSettings(this.extension),
        statusNotifications: true,
        summaryNotifications: true,
        workspaceTrusted: vscode.workspace.isTrusted,
      }),
      initializationFailedHandler: () => false,
      errorHandler: this.errorHandler(library),
      markdown: { isTrusted: false, supportHtml: false },
      middleware: {
        workspace: {
          configuration: ({ items }) =>
            items.map((item) =>
              item.section === "qsum"
                ? chosenSettings(this.extension, item.scopeUri ? vscode.Uri.parse(item.scopeUri) : undefined)
                : null,
            ),
        },
        executeCommand: (command, args) => this.execute(command, args),
        resolveCodeLens: async (lens, token, next) => {
          const resolved = await next(lens, token);
          if (resolved?.command) {
            resolved.command.title = withoutIcons(resolved.command.title);
          }
          return resolved;
        },
      },
    };
  }

  private async execute(command: string, args: unknown[]): Promise<unknown> {
    const client = this.client;
    if (!client) {
      return undefined;
    }
    const { runWithProgress } = await import("./languageClient");
    return runWithProgress(client, (token, workDoneToken) =>
      client.sendRequest("workspace/executeCommand", { command, arguments: args, workDoneToken }, token),
    );
  }

  private errorHandler({ CloseAction, ErrorAction }: typeof languageClient): ErrorHandler {
    return {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        const now = Date.now();
        this.crashes = [...this.crashes.filter((time) => now - time < CRASH_WINDOW_MS), now];
        if (this.crashes.length < MOST_CRASHES) {
          this.log.warn("The server ended unexpectedly; it is started again.");
          return { action: CloseAction.Restart, handled: true };
        }
        this.fail(`The qsum language server ended ${MOST_CRASHES} times in three minutes.`);
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    };
  }

  private fail(message: string): void {
    this.setState({ kind: "failed", message, isSetting: false });
  }

  private setState(state: ServerState): void {
    this.current = state;
    void vscode.commands.executeCommand("setContext", "qsum.server", state.kind);
    this.stateChanged.fire(state);
  }
}
