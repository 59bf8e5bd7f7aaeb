"""Singer tap for Pegke: loyalty points, customers, offers, histories and the realtime activity feed."""
