/**
 * Electron's main process: hands Electron's calls to the Desktop and serves the window's files under
 * our own scheme. The only file that imports 'electron'; what it decides is in desktop.ts.
 */
import { readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import {
  app,
  BrowserWindow,
  ipcMain,
  Menu,
  MessageChannelMain,
  nativeImage,
  nativeTheme,
  protocol,
  session,
  shell,
  Tray,
} from "electron";
import type { MenuItemConstructorOptions } from "electron";
import { connectEngine } from "../engine/client.ts";
import { relayPort } from "../engine/relay.ts";
import { homeFolder } from "../host/paths.ts";
import { contentTypeOf, fileOf, SCHEME } from "./addresses.ts";
import { Desktop } from "./desktop.ts";
import type { ElectronApi, IpcEvent, MenuEntry, PortMain, WindowLike } from "./electron-api.ts";
import { TRAY_ICON } from "./tray-icon.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const rendererFolder = join(here, "..", "renderer");

protocol.registerSchemesAsPrivileged([
  { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
]);

const api: ElectronApi = {
  platform: process.platform,
  dark: () => nativeTheme.shouldUseDarkColors,
  quit: () => app.exit(0),
  onSecondInstance: (listener) => void app.on("second-instance", listener),
  onActivate: (listener) => void app.on("activate", listener),
  onAllWindowsClosed: (listener) => void app.on("window-all-closed", listener),
  createWindow: (options) => new BrowserWindow(options) as unknown as WindowLike,
  createChannel: () => new MessageChannelMain() as unknown as { port1: PortMain; port2: PortMain },
  setMenu: (entries) => Menu.setApplicationMenu(menuOf(entries)),
  createTray(tooltip, entries) {
    const tray = new Tray(nativeImage.createFromDataURL(TRAY_ICON));
    tray.setToolTip(tooltip);
    tray.setContextMenu(menuOf(entries()));
    return () => tray.destroy();
  },
  onIpc: (channel, listener) =>
    void ipcMain.on(channel, (event, ...values: unknown[]) => listener(event as unknown as IpcEvent, ...values)),
  openExternal: (url) => shell.openExternal(url),
  showItemInFolder: (path) => shell.showItemInFolder(path),
  get session() {
    return session.defaultSession as unknown as ElectronApi["session"];
  },
};

function menuOf(entries: MenuEntry[]): Menu {
  return Menu.buildFromTemplate(entries as MenuItemConstructorOptions[]);
}

async function serveFile(request: Request): Promise<Response> {
  const file = fileOf(rendererFolder, request.url, join, sep);
  if (!file) return new Response("not found", { status: 404 });
  try {
    const content = await readFile(file);
    return new Response(new Uint8Array(content), {
      headers: { "content-type": contentTypeOf(file), "x-content-type-options": "nosniff" },
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Response("not found", { status: 404 });
    throw error;
  }
}

/** One call to the engine on a connection of its own; only to an engine that already runs. */
async function ask<T>(call: (client: Awaited<ReturnType<typeof connectEngine>>["client"]) => Promise<T>): Promise<T> {
  const engine = await connectEngine({ start: false });
  try {
    return await call(engine.client);
  } finally {
    engine.close();
  }
}

async function run(): Promise<void> {
  if (!app.requestSingleInstanceLock()) return app.quit();
  await app.whenReady();
  protocol.handle(SCHEME, serveFile);
  const desktop = new Desktop(api, {
    preload: join(here, "..", "preload", "index.cjs"),
    home: homeFolder(),
    relay: (port) => relayPort(port, { start: true }),
    keepRunning: async () => {
      try {
        return (await ask((client) => client.system.settings())).keepRunning;
      } catch (error) {
        process.stderr.write(`drydock: the engine could not be asked: ${String(error)}\n`);
        return undefined;
      }
    },
    stopEngine: () => ask((client) => client.system.stopEngine({ stopClusters: true })),
    report: (message) => process.stderr.write(`drydock: ${message}\n`),
  });
  desktop.start();
}

run().catch((error: unknown) => {
  process.stderr.write(`drydock: ${error instanceof Error ? error.stack : String(error)}\n`);
  app.exit(1);
});
