// Last: a page that is rendered ahead is counted when somebody sees it.
on("prerenderingchange", begin);
if (!document.prerendering) begin();
