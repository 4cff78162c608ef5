# In the config.json of a container (one line, as Docker writes it) that joined a sandbox started ahead: in place of the sandbox's
# hostname the one that the container's environment names last. Searched by plain text: a regular expression that has to try every
# HOSTNAME took two seconds of an emulated processor for each container.
{ lines[NR] = $0 }
END {
  mark = "\"hostname\":\"drydock-pool\""
  name = "\"HOSTNAME="
  for (n = 1; n <= NR; n++) {
    at = index(lines[n], mark)
    if (!at) continue
    before = substr(lines[n], 1, at - 1)
    hostname = ""
    rest = before
    while (from = index(rest, name)) {
      # A quotation mark inside a text has a backslash before it.
      inside = from > 1 && substr(rest, from - 1, 1) == "\\"
      rest = substr(rest, from + length(name))
      if (!inside) hostname = substr(rest, 1, index(rest, "\"") - 1)
    }
    if (hostname == "") continue
    lines[n] = before "\"hostname\":\"" hostname "\"" substr(lines[n], at + length(mark))
    changed = 1
  }
  if (changed) for (n = 1; n <= NR; n++) print lines[n] > FILENAME
}
