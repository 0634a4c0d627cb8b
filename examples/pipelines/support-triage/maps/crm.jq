# From a ticket and what both models said of it to a case of the CRM.
# Input: {tickets: {...}, embed: [number], classify: {intent, confidence, urgent, reason}}; what did not come in time is missing.
{
  ticket_id: .tickets.ticket_id,
  customer_id: .tickets.customer_id,
  queue: (.classify.intent // "other"),
  priority: (if .classify.urgent then 1 elif .classify.intent == "outage" then 2 else 3 end),
  confidence: (.classify.confidence // 0),
  reason: (.classify.reason // ""),
  has_embedding: (.embed != null)
}
