/**
 * What the desktop uses of Electron, as an interface: the real one is handed in by main.ts, a small
 * double by tests, so that everything but Electron's own calls runs in Node.
 */

export interface PortMain {
  on(event: "message", listener: (message: unknown) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  postMessage(message: unknown): void;
  start(): void;
  close(): void;
}

export interface WebContentsLike {
  readonly id: number;
  postMessage(channel: string, message: unknown, transfer?: PortMain[]): void;
  setWindowOpenHandler(handler: (details: { url: string }) => { action: "deny" }): void;
  on(event: "will-navigate", listener: (event: { preventDefault(): void }, url: string) => void): unknown;
  on(event: "will-attach-webview", listener: (event: { preventDefault(): void }) => void): unknown;
  getURL(): string;
}

export interface WindowLike {
  readonly webContents: WebContentsLike;
  loadURL(url: string): Promise<void>;
  show(): void;
  focus(): void;
  isMinimized(): boolean;
  restore(): void;
  isDestroyed(): boolean;
  on(event: "closed" | "ready-to-show", listener: () => void): unknown;
}

export interface WindowOptions {
  width: number;
  height: number;
  minWidth: number;
  minHeight: number;
  show: boolean;
  title: string;
  backgroundColor: string;
  autoHideMenuBar: boolean;
  webPreferences: {
    preload: string;
    contextIsolation: true;
    sandbox: true;
    nodeIntegration: false;
    webSecurity: true;
    spellcheck: false;
  };
}

export interface MenuEntry {
  label?: string;
  type?: "separator";
  role?: string;
  accelerator?: string;
  click?: () => void;
  submenu?: MenuEntry[];
}

export interface IpcEvent {
  sender: WebContentsLike;
  senderFrame: { url: string } | null;
}

export interface SessionLike {
  setPermissionRequestHandler(
    handler: (contents: unknown, permission: string, answer: (granted: boolean) => void) => void,
  ): void;
  setPermissionCheckHandler(handler: () => boolean): void;
}

/** The calls of Electron that the desktop makes. */
export interface ElectronApi {
  platform: string;
  dark(): boolean;
  quit(): void;
  onSecondInstance(listener: () => void): void;
  onActivate(listener: () => void): void;
  onAllWindowsClosed(listener: () => void): void;
  createWindow(options: WindowOptions): WindowLike;
  createChannel(): { port1: PortMain; port2: PortMain };
  setMenu(entries: MenuEntry[]): void;
  /** A tray with this menu; the answer removes it. */
  createTray(tooltip: string, entries: () => MenuEntry[]): () => void;
  onIpc(channel: string, listener: (event: IpcEvent, ...values: unknown[]) => void): void;
  openExternal(url: string): Promise<void>;
  showItemInFolder(path: string): void;
  session: SessionLike;
}
