// Clicks on links that leave the site.
onLink((link) => {
  if (link.host != location.host) eider("outbound", { k: "outbound", p: { url: target(link) } });
});
