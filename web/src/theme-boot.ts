/* Runs before the first paint, so that a dark page never flashes white. */
try {
  const theme = localStorage.getItem("secai.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
} catch {
  /* No storage: the system's colours. */
}
