/** Opens an address of this computer in the user's browser: a new tab there, or by the desktop app's bridge. */
export function openUrl(url: string): void {
  if (window.drydock) window.drydock.openExternal(url);
  else window.open(url, "_blank", "noopener,noreferrer");
}
